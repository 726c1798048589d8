#!/usr/bin/env bash
# @tensorflow/tfjs 4.22.0 (found by checking gradients against finite differences): tf.maximum, tf.minimum and
# tf.squaredDifference broadcast a vector over the rows of a matrix, but their gradients are not summed back over those rows.
# tf.grads then throws, because the gradient has the matrix's shape. Add, mul, sub, div, mod, pow and atan2 sum theirs.
# One would have expected every operation that broadcasts to have a gradient of its argument's shape, as in TensorFlow.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes > /dev/null
npm install --silent --no-audit --no-fund --ignore-scripts @tensorflow/tfjs@4.22.0
node - <<'JS' 2> /dev/null
const tf = require('@tensorflow/tfjs');
console.log('@tensorflow/tfjs', tf.version.tfjs);
const [matrix, vector] = [tf.tensor2d([[1, 2], [3, 4], [5, 6]]), tf.tensor1d([2, 3])];
const outcome = name => {
  try {
    return `gradient of shape [${tf.grads((a, b) => tf.sum(tf[name](a, b)))([matrix, vector])[1].shape}]`;
  } catch (error) {
    return error.message;
  }
};
const failing = ['maximum', 'minimum', 'squaredDifference'];
const working = ['add', 'mul', 'sub', 'div', 'mod', 'pow', 'atan2'];
for (const name of [...failing, ...working]) console.log(`${name}: ${outcome(name)}`);
const expected = failing.every(name => /does not match the shape/.test(outcome(name)));
process.exit(expected && working.every(name => outcome(name) === 'gradient of shape [2]') ? 0 : 1);
JS
