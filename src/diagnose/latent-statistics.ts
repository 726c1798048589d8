import { eigh } from '../engine/index.js';
import { effectiveRank } from './spectrum.js';

/** A coordinate that moves less than this share of the typical one is called dead. */
const DEAD = 0.01;

/**
 * What latents [n, tokens, channels] are like: their standard deviation about the channel means, the effective rank of
 * the channels' covariance (the exponential of its spectrum's entropy; Roy & Vetterli 2007), and how many tokens, and
 * which share of all coordinates, hardly move from image to image.
 */
export function latentStatistics(latents: Float32Array, tokens: number, channels: number): Record<string, number> {
  const width = tokens * channels;
  const spectrum = channelSpectrum(latents, channels);
  const variance = spectrum.reduce((sum, value) => sum + value, 0);
  const typical = Math.sqrt(variance / channels);
  const deviations = columnDeviations(latents, width);
  const isDead = Array.from(deviations, deviation => !(deviation >= DEAD * typical));
  const deadTokens = Array.from({ length: tokens }, (_, token) =>
    isDead.slice(token * channels, (token + 1) * channels).every(Boolean),
  );
  return {
    latent_std: typical,
    latent_rank: effectiveRank(spectrum),
    dead_tokens: deadTokens.filter(Boolean).length,
    dead_share: isDead.filter(Boolean).length / width,
  };
}

/** Eigenvalues of the channels' covariance over all tokens. */
function channelSpectrum(latents: Float32Array, channels: number): Float64Array {
  const rows = latents.length / channels;
  const mean = columnMeans(latents, channels);
  const covariance = new Float64Array(channels * channels);
  for (let row = 0; row < rows; row++) {
    const at = row * channels;
    for (let i = 0; i < channels; i++) {
      const scaled = (latents[at + i] - mean[i]) / rows;
      for (let j = 0; j < channels; j++) covariance[i * channels + j] += scaled * (latents[at + j] - mean[j]);
    }
  }
  return eigh(covariance, channels).values.map(value => Math.max(0, value));
}

function columnMeans(rows: Float32Array, width: number): Float64Array {
  const means = new Float64Array(width);
  for (let i = 0; i < rows.length; i++) means[i % width] += (rows[i] * width) / rows.length;
  return means;
}

function columnDeviations(rows: Float32Array, width: number): Float64Array {
  const means = columnMeans(rows, width);
  const variances = new Float64Array(width);
  for (let i = 0; i < rows.length; i++)
    variances[i % width] += ((rows[i] - means[i % width]) ** 2 * width) / rows.length;
  return variances.map(Math.sqrt);
}
