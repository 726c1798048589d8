/** Text as HTML, also within a quoted attribute. */
export function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

/** JSON that may stand in a script element: no text in it can end the element or begin a comment. */
export const scriptJson = (value: unknown): string => JSON.stringify(value).replaceAll('<', '\\u003c');

/** An encoded image as an address. */
export function dataUrl(image: Uint8Array): string {
  const bytes = Buffer.from(image.buffer, image.byteOffset, image.byteLength);
  return `data:image/${formatOf(bytes)};base64,${bytes.toString('base64')}`;
}

function formatOf(bytes: Buffer): string {
  if (bytes.toString('latin1', 8, 12) === 'WEBP') return 'webp';
  return bytes[0] === 0xff && bytes[1] === 0xd8 ? 'jpeg' : 'png';
}

/** Text whose `words in backquotes` are code. */
export const prose = (text: string): string => escape(text).replace(/`([^`]+)`/g, '<code>$1</code>');

export const paragraphs = (texts: string[]): string => texts.map(text => `<p>${prose(text)}</p>`).join('\n');
