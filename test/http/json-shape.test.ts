import t from 'tap'
import { isModest } from '../../src/http/json-shape.ts'

const modest = (json: string): boolean => isModest(Buffer.from(json))

t.test('JSON that a call may take is modest', async t => {
  t.ok(modest(''))
  t.ok(modest('{"keys":[{"key":"a","metadata":{"a":"[,[,{{{"}}]}'))
  t.ok(modest(`["${'[{,'.repeat(300_000)}\\"[,"]`), 'what stands in strings does not count')
  const metadata = Object.fromEntries(Array.from({ length: 140 }, (_, i) => [String(i), '']))
  t.ok(modest(JSON.stringify({ keys: Array.from({ length: 1000 }, () => ({ key: 'a', metadata })) })))
})

t.test('it has at most 32 levels', async t => {
  const nested = (levels: number): string => '[{"a":'.repeat(levels / 2) + '1' + '}]'.repeat(levels / 2)
  t.ok(modest(nested(32)))
  t.ok(modest(`[${nested(30)},${nested(30)},${nested(30)}]`))
  t.notOk(modest(nested(34)))
  t.notOk(modest('['.repeat(33)))
})

t.test('it has at most 20,001 members in one place and 200,000 parts in all', async t => {
  const list = (members: number): string => `[${'1,'.repeat(members - 1)}1]`
  t.ok(modest(list(20_001)))
  t.notOk(modest(list(20_002)))
  t.notOk(modest(`{"a":[${list(20_000)},${list(20_000)}],${'"a":1,'.repeat(20_001)}"a":1}`), 'behind narrower ones')
  t.ok(modest(`[${Array(9).fill(list(20_000)).join(',')}]`))
  t.notOk(modest(`[${Array(11).fill(list(20_000)).join(',')}]`))
  t.notOk(modest('[],'.repeat(100_001)))
})

t.test('what ends more than it began is no JSON, and not counted on', async t => {
  t.ok(modest(']' + '['.repeat(100)))
})
