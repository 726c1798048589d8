import { expect, test } from '@jest/globals';
import { philox } from '../../src/base/random.js';

// Random123's tests/kat_vectors, the lines `philox4x32 10`: counter, key, block. https://github.com/DEShawResearch/random123
test.each([
  ['00000000 00000000 00000000 00000000', '00000000 00000000', '6627e8d5 e169c58d bc57ac4c 9b00dbd8'],
  ['ffffffff ffffffff ffffffff ffffffff', 'ffffffff ffffffff', '408f276d 41c83b0e a20bc7c6 6d5451fd'],
  ['243f6a88 85a308d3 13198a2e 03707344', 'a4093822 299f31d0', 'd16cfe09 94fdcceb 5001e420 24126ea1'],
])('Philox 4×32-10 of counter %s under key %s is the published block', (counter, key, block) => {
  const [c0, c1, c2, c3, k0, k1] = words(`${counter} ${key}`);
  const out = new Uint32Array(4);
  philox(out, 0, [c0, c1, c2, c3], [k0, k1]);
  expect([...out]).toEqual(words(block));
});

const words = (text: string): number[] => text.split(' ').map(word => parseInt(word, 16));
