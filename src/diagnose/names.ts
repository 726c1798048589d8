/** Groups of measures, each with what help says of it. */
export const MEASURE_GROUPS = {
  spectrum: 'ranks, slope',
  dimension: 'TwoNN, MLE',
  isotropy: 'IsoScore, cosines, kurtosis',
  tokens: 'channels’ and tokens’ spread, redundancy',
  classes: 'Fisher ratio, silhouette, Davies–Bouldin; needs labels',
  alignment: 'CKNNA; needs --features',
  uniformity: 'LightningDiT’s density over t-SNE',
  diffusability: 'VIV, LNC (both need labels), SEC, LDS, CDS, RMSC, SRSS (needs --masks), power spectrum',
};
export type MeasureGroup = keyof typeof MEASURE_GROUPS;
