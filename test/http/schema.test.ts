import t from 'tap'
import { Type } from 'typebox'
import { named, nullable, ref } from '../../src/http/schema.ts'

t.test('a nullable schema is the same, or null', async t => {
  t.strictSame(nullable(Type.String({ minLength: 2 })), { type: ['string', 'null'], minLength: 2 })
})

t.test('a named schema is referred to by its name', async t => {
  t.match(named('Mine', Type.Object({})), { $id: 'Mine', type: 'object' })
  t.strictSame(ref('Mine'), { $ref: 'Mine#' })
})
