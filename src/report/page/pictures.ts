import { dataUrl, escape } from './markup.js';
import type { Grid, Pictures, Reconstructions, Sample, Samples } from './page.js';

/** Rows of pictures that are open at once; the others are behind a click. */
const OPEN = 8;

/** Pictures large enough to be judged, as they are without scripts; the script adds size, differences and choices. */
export function htmlPictures(pictures: Pictures): string {
  const body = { reconstructions, samples, grid }[pictures.kind](pictures as never);
  return `<figure class="pictures" data-kind="${pictures.kind}">
<figcaption>${escape(pictures.caption)}</figcaption>
<div class="controls"></div>
${body}
</figure>`;
}

const image = (bytes: Uint8Array, alt: string): string =>
  `<img class="pixels" loading="lazy" alt="${escape(alt)}" src="${dataUrl(bytes)}">`;

function reconstructions({ originals, sources, caption }: Reconstructions): string {
  const row = (original: Uint8Array, k: number): string => {
    const others = sources.map(
      ({ name, images }) =>
        `<td><span class="frame">${images[k] ? image(images[k], `image ${k + 1} reconstructed by ${name}`) : '–'}</span></td>`,
    );
    return `<tr><td class="original">${image(original, `image ${k + 1}, original`)}</td>${others.join('')}</tr>`;
  };
  const heads = ['original', ...sources.map(({ name }) => name)].map(name => `<th scope="col">${escape(name)}</th>`);
  const table = (
    from: number,
    to: number,
  ): string => `<div class="scroll" tabindex="0" role="region" aria-label="${escape(caption)} ${from + 1}">
<table class="side-by-side"><thead><tr>${heads.join('')}</tr></thead>
<tbody>${originals
    .slice(from, to)
    .map((original, i) => row(original, from + i))
    .join('\n')}</tbody></table></div>`;
  const more = originals.length - OPEN;
  return [
    table(0, OPEN),
    ...(more > 0 ? [`<details><summary>${more} more images</summary>${table(OPEN, originals.length)}</details>`] : []),
  ].join('\n');
}

function samples({ sources }: Samples): string {
  return sources
    .map(
      ({ name, images }) =>
        `<h3>${escape(name)}</h3>\n<div class="samples">${images.map(sample(name)).join('\n')}</div>`,
    )
    .join('\n');
}

const sample =
  (source: string) =>
  (one: Sample, k: number): string => {
    const said = [
      ...(one.class === undefined ? [] : [one.class]),
      ...(one.guidance === undefined ? [] : [`guidance ${one.guidance}`]),
    ].join(', ');
    const data = [
      ...(one.class === undefined ? [] : [` data-class="${escape(one.class)}"`]),
      ...(one.guidance === undefined ? [] : [` data-guidance="${one.guidance}"`]),
    ].join('');
    const alt = `sample ${k + 1} of ${source}${said === '' ? '' : `: ${said}`}`;
    return `<span class="sample"${data}>${image(one.image, alt)}<small>${escape(said)}</small></span>`;
  };

const grid = (one: Grid): string =>
  `<div class="scroll" tabindex="0" role="region" aria-label="${escape(one.caption)}">${image(one.image, one.caption)}</div>`;
