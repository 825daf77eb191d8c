import t from 'tap'
import { sharedSchemas } from '../../src/http/schemas.ts'

t.test('each schema stands after those that it refers to', async t => {
  const known = new Set<string>()
  for (const schema of sharedSchemas) {
    for (const [, name = ''] of JSON.stringify(schema).matchAll(/"\$ref":"(\w+)#"/g)) t.ok(known.has(name), name)
    known.add((schema as { $id?: string }).$id ?? '')
  }
})
