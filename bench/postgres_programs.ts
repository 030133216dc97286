/**
 * Where PostgreSQL's programs are. The benchmark and the tests start servers of it.
 *
 * @module
 */

/** The path of one of PostgreSQL's programs; Debian has most of them in a folder of the version's own. */
export function programOf(name: string): string {
  const root = "/usr/lib/postgresql";
  try {
    const versions = [...Deno.readDirSync(root)].map(({ name }) => Number(name));
    return `${root}/${Math.max(...versions)}/bin/${name}`;
  } catch {
    return name;
  }
}
