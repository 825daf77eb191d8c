import t from 'tap'
import { Type } from 'typebox'
import { named, nullable, ref, refusals, sharedSchemas } from '../../src/http/schemas.ts'

t.test('a nullable schema is the same, or null', async t => {
  t.strictSame(nullable(Type.String({ minLength: 2 })), { type: ['string', 'null'], minLength: 2 })
})

t.test('a named schema is referred to by its name', async t => {
  t.match(named('Mine', Type.Object({})), { $id: 'Mine', type: 'object' })
  t.strictSame(ref('Mine'), { $ref: 'Mine#' })
})

t.test('each schema stands after those that it refers to', async t => {
  const known = new Set<string>()
  for (const schema of sharedSchemas) {
    for (const [, name = ''] of JSON.stringify(schema).matchAll(/"\$ref":"(\w+)#"/g)) t.ok(known.has(name), name)
    known.add((schema as { $id?: string }).$id ?? '')
  }
})

t.test('refusals of one status stand together, with those that any call may meet', async t => {
  const responses = refusals('unknown-pool', 'no-free-key') as Record<number, { description: string; content: object }>
  t.match(responses[404]?.description, /unknown-pool.*no-free-key/)
  t.strictSame(Object.keys(responses).map(Number), [400, 404, 408, 413, 414, 415, 417, 431, 500, 503])
  for (const { content } of Object.values(responses)) {
    t.match(content, { 'application/problem+json': { schema: { $ref: 'Problem#' } } })
  }
})
