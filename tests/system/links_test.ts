/**
 * Each relative link of each document leads to a file that exists, and to a heading that this file has; and
 * each path that a document or a comment names exists.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { ROOT, testWith } from "../support/harness.ts";

testWith(["read"], "each link between documents leads somewhere", () => {
  const documents = filesIn("", ".md");
  assert(documents.length >= 10, "there are some");
  const broken = documents.flatMap((path) =>
    linksOf(textOf(path)).filter((link) => !leadsSomewhere(link, path)).map((link) =>
      `${path}: ${link}`
    )
  );
  assertEquals(broken, []);
});

testWith(["read"], "each path of this project that stands in backticks exists", () => {
  const ignored = textOf(".gitignore").split("\n");
  const folders = [...Deno.readDirSync(ROOT)]
    .filter(({ name, isDirectory }) => isDirectory && !ignored.includes(`/${name}/`))
    .map(({ name }) => name.replace(".", "[.]"));
  // VERB stands for any.
  const path = new RegExp(`\`((?:${folders.join("|")})/(?!VERB)[\\w./-]*)\``, "g");
  const missing = [...filesIn("", ".md"), ...filesIn("", ".ts")].flatMap((file) =>
    [...textOf(file).matchAll(path)].filter(([, named]) => !exists(new URL(named!, ROOT)))
      .map(([, named]) => `${file}: ${named}`)
  );
  assertEquals(missing, []);
});

Deno.test("a heading's anchor is the one that forges make", () => {
  const headings = "# A `KEYS [x]`, and more\n\n## Twice\n\n## Twice\n\n```sh\n# none\n```\n";
  assertEquals(anchorsOf(headings), ["a-keys-x-and-more", "twice", "twice-1"]);
});

Deno.test("links in code are none, and links over two lines are some", () => {
  const text =
    '[a](b.md) ![c](d.svg) `[e](f.md)` [g\nh](i.md#j) [k](https://l)\n```\n[m](n)\n```\n<img src="o">';
  assertEquals(linksOf(text), ["b.md", "d.svg", "i.md#j", "o"]);
});

function filesIn(folder: string, ext: string): string[] {
  return [...Deno.readDirSync(new URL(folder || ".", ROOT))].flatMap(({ name, isDirectory }) => {
    if (name.startsWith(".") || name === "node_modules") return [];
    if (isDirectory) return filesIn(`${folder}${name}/`, ext);
    return name.endsWith(ext) ? [`${folder}${name}`] : [];
  });
}

function textOf(path: string): string {
  return Deno.readTextFileSync(new URL(path, ROOT));
}

/** The relative targets of links and images, but for those in code. */
function linksOf(markdown: string): string[] {
  const prose = withoutFences(markdown).replace(/`[^`]*`/g, "code");
  return [...prose.matchAll(/\]\(([^)\s]+)\)|\b(?:src|srcset)="([^"]+)"/g)]
    .map(([, target, source]) => (target ?? source)!)
    .filter((target) => !/^[a-z]+:/.test(target));
}

function leadsSomewhere(link: string, from: string): boolean {
  const [path, anchor] = link.split("#") as [string, string?];
  const target = path === "" ? new URL(from, ROOT) : new URL(path, new URL(from, ROOT));
  if (!exists(target)) return false;
  return anchor === undefined || anchorsOf(Deno.readTextFileSync(target)).includes(anchor);
}

function exists(path: URL): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

/** The anchors of a document: its headings in lower case, hyphens for spaces, no punctuation. */
function anchorsOf(markdown: string): string[] {
  const seen = new Map<string, number>();
  return [...withoutFences(markdown).matchAll(/^#+ (.*)$/gm)].map(([, heading]) => {
    const slug = heading!.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "").replaceAll(" ", "-");
    const count = seen.get(slug) ?? 0;
    seen.set(slug, count + 1);
    return count === 0 ? slug : `${slug}-${count}`;
  });
}

function withoutFences(markdown: string): string {
  return markdown.replace(/^( *)```.*?^\1```$/gms, "");
}
