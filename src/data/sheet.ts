import { encodePng, type RawImage } from '../io/index.js';
import type { ImageDataset } from './dataset.js';
import { centreCrop } from './crop.js';
import { evenlySpaced } from './inspect.js';

/** A row of a contact sheet. */
interface SheetRow {
  caption: string;
  images: RawImage[];
}

const THUMB = 80;
const GAP = 4;
/** Units of a caption's line, and of one of its letters. */
const LINE = 13;
const LETTER = 7;
const COLUMNS = 10;
/** Classes on one sheet; of more, some spread evenly. */
const MOST_CLASSES = 20;
/** Of a name that does not fit its column the rest is left out. */
const CAPTION_LETTERS = 24;

/**
 * A contact sheet as SVG: a row for each class (its name and number of images at the left) of images spread evenly over
 * it, about `num` images in all; without classes rows of images. Images that cannot be read are reported and left out.
 */
export async function contactSheet(dataset: ImageDataset, num: number): Promise<string> {
  const rows: SheetRow[] = [];
  for (const { caption, indices } of plannedRows(dataset, num)) {
    const images: RawImage[] = [];
    for (const index of indices) {
      try {
        images.push(centreCrop(await dataset.read(index, THUMB), THUMB));
      } catch (error) {
        dataset.reportBroken(index, error);
      }
    }
    rows.push({ caption, images });
  }
  return await drawn(`${dataset.name}: ${dataset.count} images`, rows);
}

function plannedRows({ count, labels, classes }: ImageDataset, num: number): { caption: string; indices: number[] }[] {
  if (!labels || classes.length === 0) {
    const all = evenlySpaced(count, num);
    return Array.from({ length: Math.ceil(all.length / COLUMNS) }, (_, row) => ({
      caption: '',
      indices: all.slice(row * COLUMNS, (row + 1) * COLUMNS),
    }));
  }
  const members = new Map<number, number[]>();
  labels.forEach((label, index) => {
    const list = members.get(label) ?? [];
    list.push(index);
    members.set(label, list);
  });
  const present = [...members.keys()].sort((a, b) => a - b);
  const chosen = evenlySpaced(present.length, Math.min(MOST_CLASSES, num)).map(i => present[i]);
  const each = Math.max(1, Math.min(COLUMNS, Math.floor(num / chosen.length)));
  return chosen.map(label => {
    const own = members.get(label)!;
    return { caption: `${classes[label]}\n${own.length}`, indices: evenlySpaced(own.length, each).map(i => own[i]) };
  });
}

async function drawn(title: string, rows: SheetRow[]): Promise<string> {
  const letters = Math.max(...rows.flatMap(({ caption }) => caption.split('\n').map(line => line.length)));
  const left = Math.min(letters, CAPTION_LETTERS) * LETTER;
  const across = Math.max(...rows.map(({ images }) => images.length), 1);
  const width = left + across * (THUMB + GAP) + GAP;
  const height = 2 * LINE + rows.length * (THUMB + GAP) + GAP;
  const parts = [text(GAP, LINE + 2, title, 'font-weight="bold"')];
  for (const [row, { caption, images }] of rows.entries()) {
    const y = 2 * LINE + GAP + row * (THUMB + GAP);
    caption.split('\n').forEach((line, i) => parts.push(text(GAP, y + (i + 1) * LINE, line, '')));
    for (const [column, image] of images.entries()) {
      const png = Buffer.from(await encodePng(image)).toString('base64');
      const x = left + GAP + column * (THUMB + GAP);
      parts.push(`<image x="${x}" y="${y}" width="${THUMB}" height="${THUMB}" href="data:image/png;base64,${png}"/>`);
    }
  }
  const size = `width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"`;
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size} font-size="11">${parts.join('')}</svg>`;
}

function text(x: number, y: number, content: string, style: string): string {
  const isLong = content.length > CAPTION_LETTERS && style === '';
  const shown = isLong ? `${content.slice(0, CAPTION_LETTERS - 1)}…` : content;
  const safe = shown.replace(/[&<>]/g, sign => `&#${sign.charCodeAt(0)};`);
  return `<text x="${x}" y="${y}" ${style}>${safe}</text>`;
}
