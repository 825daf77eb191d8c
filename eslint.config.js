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

// What each room of src, and each file beside the rooms, may import besides its own: other rooms, files, packages. Arrows
// point downwards: whoever stands lower knows nothing of those above. test/imports.test.ts looks for circles besides.
const ROOMS = {
  'clock.ts': [],
  pool: ['nanoid', 'node:crypto', 'tinyqueue'],
  'engine.ts': ['pool/'],
  memory: ['clock.ts', 'engine.ts', 'pool/'],
  'log.ts': [],
  durable: ['clock.ts', 'engine.ts', 'log.ts', 'memory/', 'node:', 'pool/'],
  redis: ['clock.ts', 'engine.ts', 'log.ts', 'memory/', 'nanoid', 'node:', 'pool/'],
  access: ['clock.ts', 'engine.ts', 'log.ts', 'node:'],
  http: ['@fastify/', 'access/', 'engine.ts', 'fastify', 'node:', 'pool/', 'typebox'],
  dialects: ['access/', 'engine.ts', 'fastify', 'http/', 'pool/', 'typebox'],
  'config.ts': ['access/', 'dialects/', 'pool/', 'redis/'],
  'app.ts': ['access/', 'config.ts', 'dialects/', 'engine.ts', 'fastify', 'http/', 'node:'],
  'open-engine.ts': ['clock.ts', 'config.ts', 'durable/', 'engine.ts', 'log.ts', 'memory/', 'redis/'],
  'main.ts': ['access/', 'app.ts', 'clock.ts', 'config.ts', 'engine.ts', 'log.ts', 'node:', 'open-engine.ts']
}
/** Each driver has one file that knows it. */
const DRIVERS = { ioredis: 'redis/connection.ts', lmdb: 'durable/store.ts', 'sonic-boom': 'access/audit-trail.ts' }

/** Of some files, refuses all imports but these, and those of files beside them where they have a room. */
function only(files, names, { room }) {
  const allowed = names.map(name => {
    const place = name in ROOMS || name.slice(0, -1) in ROOMS ? (room ? '\\.\\./' : '\\./') : ''
    return place + name.replace('.', '\\.') + (/[/:]$/.test(name) ? '' : '(/|$)')
  })
  if (room) allowed.push('\\./')
  return {
    files,
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              regex: `^(?!${allowed.join('|') || '$'})`,
              message: `Arrows point down: from here to ${names.join(', ') || 'nothing'}; see ROOMS in eslint.config.js.`
            }
          ]
        }
      ]
    }
  }
}

const arrows = [
  only(['src/**/*.ts'], [], { room: true }),
  ...Object.entries(ROOMS).map(([name, names]) =>
    name.endsWith('.ts')
      ? only([`src/${name}`], names, { room: false })
      : only([`src/${name}/**/*.ts`], names, { room: true })
  ),
  ...Object.entries(DRIVERS).map(([driver, file]) =>
    only([`src/${file}`], [...ROOMS[file.split('/')[0]], driver], { room: true })
  ),
  {
    files: ['src/**/*.ts'],
    // The service starts without the drivers of engines that are not chosen.
    ignores: ['src/open-engine.ts', ...Object.values(DRIVERS).map(file => `src/${file}`)],
    rules: {
      'no-restricted-syntax': ['error', { selector: 'ImportExpression', message: 'It escapes the table of imports.' }]
    }
  }
]

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
      'no-restricted-properties': ['error', { object: 'Math', property: 'random' }]
    }
  },
  ...arrows,
  { files: ['bench/**/*.ts'], rules: { 'no-console': 'off' } }
]
