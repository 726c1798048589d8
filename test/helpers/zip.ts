import { writeFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import yazl from 'yazl';

/** A zip archive of small members, as a file. */
export async function writeZip(path: string, members: Record<string, Uint8Array | string>): Promise<string> {
  const zip = new yazl.ZipFile();
  for (const [name, content] of Object.entries(members))
    zip.addBuffer(Buffer.from(content as Uint8Array), name, { compress: false });
  zip.end();
  await writeFile(path, await buffer(zip.outputStream));
  return path;
}
