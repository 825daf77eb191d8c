import t from 'tap'
import { readTokens, WrongTokens } from '../../src/access/read-tokens.ts'
import { entryOf } from '../support/tokens.ts'

const [CI, OPS] = [entryOf('t-ci', 'ci'), entryOf('t-ops', 'ops', 'admin')]

/** The lines that say what is wrong with a file of this text. */
function wrongIn(content: unknown): string[] {
  try {
    readTokens(typeof content === 'string' ? content : JSON.stringify(content))
  } catch (error) {
    if (error instanceof WrongTokens) return error.message.split('\n')
    throw error
  }
  return []
}

t.test('each token is its bearer, by name, role and pools', async t => {
  const list = readTokens(
    JSON.stringify([entryOf('t-1', 'ci', 'user', ['default', 'a-1']), entryOf('t-2', 'x@y', 'viewer')])
  )
  t.equal(list.size, 2)
  t.strictSame(list.bearerOf('t-1'), { name: 'ci', role: 'user', pools: new Set(['default', 'a-1']) })
  t.strictSame(list.bearerOf('t-2'), { name: 'x@y', role: 'viewer', pools: '*' })
  for (const stranger of ['', 't-3', 'ci', CI.sha256, 't-1 ']) t.equal(list.bearerOf(stranger), undefined)
})

t.test('a hash may be written in capitals', async t => {
  const list = readTokens(JSON.stringify([{ ...CI, sha256: CI.sha256.toUpperCase() }]))
  t.match(list.bearerOf('t-ci'), { name: 'ci' })
})

t.test('an empty list is right, and shuts everybody out', async t => {
  const list = readTokens('[]')
  t.equal(list.size, 0)
  t.equal(list.bearerOf('t-ci'), undefined)
})

t.test('a token without pools is known, and has none', async t => {
  t.strictSame(readTokens(JSON.stringify([{ ...CI, pools: [] }])).bearerOf('t-ci')?.pools, new Set())
})

t.test('a text that is not JSON is told by its line, and not repeated', async t => {
  t.strictSame(wrongIn(''), ['is not JSON'])
  t.strictSame(wrongIn(`[\n  {"name": "ci",\n  "sha256" "${CI.sha256}"}]`), ['is not JSON, from line 3 on'])
  t.notMatch(wrongIn(CI.sha256).join(), CI.sha256.slice(0, 4))
})

t.test('what is no list of objects is refused', async t => {
  for (const content of [{}, null, 1, '"x"', { tokens: [CI] }]) t.strictSame(wrongIn(content), ['must be a JSON list'])
  t.strictSame(wrongIn([CI, null, 1, [OPS]]), [
    '[1] must be an object',
    '[2] must be an object',
    '[3] must be an object'
  ])
})

t.test('each member that is wrong is named, with what it should be', async t => {
  const NAME = 'name must be 1 … 64 visible ASCII characters'
  const HASH = 'sha256 must be the SHA-256 of the token, as 64 hexadecimal digits'
  const ROLE = 'role must be one of viewer, user, admin'
  const POOLS = 'pools must be a list of names of pools, or "*"'
  for (const name of ['', 'a b', 'é', 'a\n', 'x'.repeat(65), 1, null]) {
    t.strictSame(wrongIn([{ ...CI, name }]), [`[0] ${NAME}`])
  }
  for (const sha256 of ['', CI.sha256.slice(1), `${CI.sha256}0`, `${CI.sha256}\n`, `g${CI.sha256.slice(1)}`, 7, null]) {
    t.strictSame(wrongIn([{ ...CI, sha256 }]), [`[0] "ci" ${HASH}`])
  }
  for (const role of ['', 'Admin', 'root', ['user'], null])
    t.strictSame(wrongIn([{ ...CI, role }]), [`[0] "ci" ${ROLE}`])
  for (const pools of ['default', '', null, {}]) t.strictSame(wrongIn([{ ...CI, pools }]), [`[0] "ci" ${POOLS}`])
  for (const pool of ['*', '', 'A', '-a', 'a_b', 'a\n', 'x'.repeat(64), 1]) {
    const line = '[0] "ci" pools must have names of pools: what stands at [1] is none'
    t.strictSame(wrongIn([{ ...CI, pools: ['default', pool] }]), [line])
  }
})

t.test('a missing member and one too many are wrong', async t => {
  t.strictSame(
    wrongIn([{}]),
    ['name', 'sha256', 'role', 'pools'].map(member => `[0] ${member} is missing`)
  )
  t.strictSame(wrongIn([{ ...CI, token: 't-ci' }]), [
    '[0] "ci" has "token", which is none of name, sha256, role, pools'
  ])
  t.strictSame(wrongIn([{ ...CI, [CI.sha256]: 1 }]), [
    '[0] "ci" has a member, which is none of name, sha256, role, pools'
  ])
  t.match(wrongIn('[{"__proto__": {"name": "ci"}}]'), { length: 5 })
})

t.test('two tokens have neither the same name nor the same hash', async t => {
  t.strictSame(wrongIn([CI, OPS, { ...OPS, name: 'ci' }, { ...CI, sha256: CI.sha256.toUpperCase(), name: 'new' }]), [
    '[2] "ci" has the name of [0]',
    '[2] "ci" has the sha256 of [1]',
    '[3] "new" has the sha256 of [0]'
  ])
})

t.test('all that is wrong is told at once, and no hash', async t => {
  const lines = wrongIn([{ ...CI, role: 'x' }, 1, { ...CI, pools: 'x', more: CI.sha256 }])
  t.equal(lines.length, 6)
  t.notMatch(lines.join('\n'), CI.sha256.slice(0, 8))
})
