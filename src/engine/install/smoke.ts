import { complaint, type Tools } from './tools.js';

/** Run in a process of its own, because a library that does not fit this processor ends the process. */
const SCRIPT = `
const binding = require(process.argv[1]);
const type = value => ({ type: binding.TF_ATTR_TYPE, value });
const flag = value => ({ type: binding.TF_ATTR_BOOL, value });
const matrix = values => binding.createTensor([2, 2], binding.TF_FLOAT, Float32Array.from(values));
const attributes = { T: type(binding.TF_FLOAT), transpose_a: flag(false), transpose_b: flag(false) };
const named = Object.entries(attributes).map(([name, attribute]) => ({ name, ...attribute }));
const [product] = binding.executeOp('MatMul', named, [matrix([1, 2, 3, 4]), matrix([5, 6, 7, 8])], 1);
console.log(JSON.stringify({
  version: binding.TF_Version,
  gpu: binding.isUsingGpuDevice(),
  product: [...binding.tensorDataSync(product.id)],
}));
`;

export interface SmokeResult {
  version: string;
  gpu: boolean;
}

/** Loads the addon and multiplies two matrices. @throws Error with the reason where that fails. */
export async function smokeTest(binding: string, tools: Tools): Promise<SmokeResult> {
  const outcome = await tools.run(process.execPath, ['-e', SCRIPT, binding], { timeoutMs: 300_000 });
  const line = outcome.stdout.split('\n').find(text => text.startsWith('{'));
  if (outcome.code !== 0 || line === undefined) throw new Error(complaint(outcome));
  const { version, gpu, product } = JSON.parse(line) as SmokeResult & { product: number[] };
  if (product.join() !== '19,22,43,50') throw new Error(`a product of two matrices came out as ${product.join()}`);
  return { version, gpu };
}
