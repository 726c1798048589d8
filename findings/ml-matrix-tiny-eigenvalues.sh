#!/usr/bin/env bash
# ml-matrix 6.15.1 (found by checking an eigensolver against it at other scales): EigenvalueDecomposition of a symmetric matrix
# whose numbers are around 1e-162 or less gives eigenvalues that are off by a tenth, and says nothing; their sum is still the
# trace. At 1e-150 all digits are right, though doubles have full precision down to 1e-308.
# One would have expected eigenvalues that scale with the matrix, as LAPACK's do: NumPy has all digits at 1e-200 too.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes > /dev/null
npm install --silent --no-audit --no-fund ml-matrix@6.15.1
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.2.6
venv/bin/python - <<'PY'
import numpy
matrix = numpy.array([[4, 1, 2], [1, 3, 0.5], [2, 0.5, 5]])
print(f'numpy {numpy.__version__} at 1e-200:', numpy.linalg.eigvalsh(1e-200 * matrix) / 1e-200)
assert numpy.allclose(numpy.linalg.eigvalsh(1e-200 * matrix) / 1e-200, numpy.linalg.eigvalsh(matrix), rtol=1e-12)
PY
node - <<'JS'
const { EigenvalueDecomposition, Matrix } = require('ml-matrix');
const { version } = JSON.parse(require('node:fs').readFileSync('node_modules/ml-matrix/package.json', 'utf8'));
const matrix = new Matrix([[4, 1, 2], [1, 3, 0.5], [2, 0.5, 5]]);
const values = scale =>
  new EigenvalueDecomposition(Matrix.mul(matrix, scale), { assumeSymmetric: true }).realEigenvalues.map(x => x / scale);
const off = scale => Math.max(...values(scale).map((value, i) => Math.abs(value / values(1)[i] - 1)));
for (const scale of [1, 1e-150, 1e-200]) console.log(`ml-matrix ${version} at ${scale}:`, values(scale), 'off by', off(scale));
process.exit(off(1e-150) < 1e-12 && off(1e-200) > 0.1 ? 0 : 1);
JS
