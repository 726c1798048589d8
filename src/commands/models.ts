import { z } from 'zod';
import { UserError } from '../base/index.js';
import { defineCommand } from './command.js';
import { common, force, outFile } from './options.js';
import { writeTable } from './table.js';

const options = z.object({
  keys: z.boolean().default(false).describe('list every tensor of the named models instead, with its shape'),
  out: outFile,
  force,
  ...common,
});

export const models = defineCommand({
  name: 'models',
  describe:
    'Lists the models of known size: tokenizers and diffusion models with latents, parameter counts and the licence of their weights.',
  examples: [
    ['maetok models', 'all of them'],
    ['maetok models maetok-b-128 sit-xl_maetok-b-128', 'two of them'],
    ['maetok models maetok-b-128 --keys', 'the state dict that its weights file must contain'],
  ],
  inputs: { name: 'model', describe: 'names from the list; default: all', min: 0, max: 64 },
  options,
  async run(chosen, names, context) {
    const { countParameters } = await import('../nn/index.js');
    const { MODEL_PRESETS } = await import('../jobs/models.js');
    const unknown = names.find(name => !MODEL_PRESETS.some(preset => preset.name === name));
    if (unknown !== undefined) throw new UserError(`models: no model '${unknown}'; \`maetok models\` lists them`);
    const presets = names.length === 0 ? MODEL_PRESETS : MODEL_PRESETS.filter(({ name }) => names.includes(name));
    if (chosen.keys) {
      const rows = presets.flatMap(({ name, shapes, isBuffer }) =>
        Object.entries(shapes()).map(([key, shape]) => ({
          model: name,
          tensor: key,
          shape: shape.join('x'),
          parameter: !isBuffer?.(key),
        })),
      );
      await writeTable(context, ['model', 'tensor', 'shape', 'parameter'], rows, chosen);
      return;
    }
    const rows = presets.map(preset => ({
      model: preset.name,
      kind: preset.kind,
      image_size: preset.imageSize,
      tokens: preset.tokens,
      channels: preset.channels,
      parameters: countParameters(preset),
      licence: preset.licence,
      about: preset.describe,
    }));
    const columns = ['model', 'kind', 'image_size', 'tokens', 'channels', 'parameters', 'licence', 'about'];
    await writeTable(context, columns, rows, chosen);
  },
});
