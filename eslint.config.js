import babelParser from '@babel/eslint-parser'
import js from '@eslint/js'

// Babel reads the types away: typescript-eslint has no version for TypeScript 7 yet. Unused and unknown names are tsc's.
const typescript = {
  parser: babelParser,
  parserOptions: {
    requireConfigFile: false,
    babelOptions: { presets: [['@babel/preset-typescript', { allowDeclareFields: true }]] }
  }
}

const noEngine = {
  group: ['**/memory/**'],
  message: 'Routes know the contract of an engine (src/engine.ts), never an engine.'
}
const noEdge = { group: ['**/http/**', '**/dialects/**', '**/app.ts'], message: 'Imports point downwards.' }

export default [
  { ignores: ['dist/', '.bench/', '.tap/', 'node_modules/'] },
  {
    files: ['**/*.ts'],
    languageOptions: typescript,
    rules: {
      ...js.configs.recommended.rules,
      'no-undef': 'off',
      'no-unused-vars': 'off',
      'no-redeclare': 'off',
      'no-control-regex': 'off',
      eqeqeq: 'error',
      'no-var': 'error',
      'prefer-const': 'error',
      'object-shorthand': 'error',
      'no-console': 'error',
      'no-else-return': 'error'
    }
  },
  {
    files: ['src/**/*.ts'],
    ignores: ['src/main.ts'],
    rules: { 'no-restricted-globals': ['error', { name: 'process', message: 'Only main.ts reads process.*.' }] }
  },
  {
    files: ['src/pool/**/*.ts'],
    rules: {
      'no-restricted-globals': ['error', 'process', 'Date', 'performance', 'setTimeout', 'setInterval', 'setImmediate'],
      'no-restricted-properties': ['error', { object: 'Math', property: 'random' }],
      'no-restricted-imports': [
        'error',
        { patterns: [{ regex: '^(?!(\\./|tinyqueue$|nanoid$|node:crypto$))', message: 'The pool is pure.' }] }
      ]
    }
  },
  {
    files: ['src/memory/**/*.ts'],
    rules: { 'no-restricted-imports': ['error', { patterns: [noEdge] }] }
  },
  {
    files: ['src/http/**/*.ts', 'src/dialects/**/*.ts'],
    rules: { 'no-restricted-imports': ['error', { patterns: [noEngine] }] }
  },
  { files: ['bench/**/*.ts'], rules: { 'no-console': 'off' } }
]
