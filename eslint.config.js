import js from '@eslint/js';
import tseslint from 'typescript-eslint';

export default tseslint.config(
  { ignores: ['dist/', 'node_modules/', 'fixtures/', 'bench/out/', 'findings/', '.dependency-cruiser.cjs'] },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/no-unnecessary-condition': ['error', { allowConstantLoopConditions: true }],
    },
  },
  {
    files: ['**/*.js'],
    ignores: ['src/report/page/client/'],
    languageOptions: {
      globals: { process: 'readonly', console: 'readonly', URL: 'readonly', performance: 'readonly' },
    },
  },
  {
    files: ['src/report/page/client/*.js'],
    languageOptions: { sourceType: 'script', globals: browserGlobals() },
  },
);

/** What the report's scripts use of the browser. */
function browserGlobals() {
  const names = ['Blob', 'IntersectionObserver', 'Option', 'ResizeObserver', 'URL', 'document', 'getComputedStyle'];
  const more = ['innerHeight', 'innerWidth', 'navigator', 'page', 'structuredClone', 'vegaEmbed'];
  return Object.fromEntries([...names, ...more].map(name => [name, 'readonly']));
}
