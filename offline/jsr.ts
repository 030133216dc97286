/**
 * The JSR packages that Keyline imports, and nothing else. The task `imports` tries to cache them; if it
 * can't, it uses the stand-ins beside this file.
 *
 * @module
 */

import "@std/assert";
import "@std/streams/text-line-stream";
