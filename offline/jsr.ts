/**
 * The packages of JSR that Keyline imports, and nothing else. The task `imports` tries to get them; where
 * it can't, the stand-ins beside this file take their place.
 *
 * @module
 */

import "@std/assert";
import "@std/streams/text-line-stream";
