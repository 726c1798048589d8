/** Which array, column or field of a source holds the images, and which their labels; default: those with usual names. */
export interface ImageKeys {
  images?: string | undefined;
  labels?: string | undefined;
}

/** What chosen keys add to a digest. */
export const keysDigest = ({ images, labels }: ImageKeys): string =>
  [images !== undefined && `\nimages=${images}`, labels !== undefined && `\nlabels=${labels}`].filter(Boolean).join('');
