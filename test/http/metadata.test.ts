import t from 'tap'
import { createService } from '../support/create-service.ts'
import { invalid } from '../support/problems.ts'

/** Metadata of exactly so many bytes as compact JSON. */
function metadataOf(bytes: number): Record<string, string> {
  const letters = 'ä'.repeat(Math.floor((bytes - 8) / 2)) + 'a'.repeat((bytes - 8) % 2)
  const metadata = { a: letters }
  if (Buffer.byteLength(JSON.stringify(metadata)) !== bytes) throw new Error('miscounted')
  return metadata
}

t.test('metadata is at most 1 KiB as compact UTF-8 JSON', async t => {
  const { call, generate } = await createService(t)
  const [key] = await generate()
  const good = metadataOf(1024)
  const bad = metadataOf(1025)
  t.strictSame((await call('POST', 'keys', { metadata: good })).body.keys[0].metadata, good)
  t.strictSame((await call('PUT', `keys/${key?.id}/metadata`, good)).body.metadata, good)
  t.equal((await call('POST', 'keys', { keys: [{ key: 'a', metadata: good }] })).status, 201)
  const spaced = JSON.stringify(good, null, 500)
  t.equal((await call('PUT', `keys/${key?.id}/metadata`, spaced, { 'content-type': 'application/json' })).status, 200)

  invalid(t, await call('POST', 'keys', { metadata: bad }), 'body', '/metadata')
  invalid(t, await call('PUT', `keys/${key?.id}/metadata`, bad), 'body', '')
  const imports = [{ key: 'b' }, { key: 'c', metadata: bad }]
  invalid(t, await call('POST', 'keys', { keys: imports }), 'body', '/keys/1/metadata')
})

t.test('metadata is a flat object of strings', async t => {
  const { call, generate } = await createService(t)
  const [key] = await generate()
  for (const metadata of [[], 'a', 5, true]) {
    const json = { 'content-type': 'application/json' }
    invalid(t, await call('PUT', `keys/${key?.id}/metadata`, JSON.stringify(metadata), json), 'body', '')
    invalid(t, await call('POST', 'keys', { metadata }), 'body', '/metadata')
  }
  for (const value of [5, null, true, {}, []]) {
    t.match(await call('PUT', `keys/${key?.id}/metadata`, { a: 'fine', b: value }), { status: 400 })
    t.match(await call('POST', 'keys', { metadata: { b: value } }), { status: 400 })
  }
  t.match(await call('POST', 'keys', { metadata: null }), { status: 400 })
  const odd = { '': '', constructor: 'a', 'quo"te': '\u0000\ud83d\ude00', toString: 'b', 'a/b~': 'ä' }
  t.strictSame((await call('PUT', `keys/${key?.id}/metadata`, odd)).body.metadata, odd)
  t.strictSame((await call('GET', `keys/${key?.id}`)).body.metadata, odd)
})

t.test('metadata is replaced, and null removes it', async t => {
  const { call, generate } = await createService(t)
  const [key] = await generate()
  const put = (body: string | object | undefined, type = 'application/json') =>
    call('PUT', `keys/${key?.id}/metadata`, body, body === undefined ? {} : { 'content-type': type })
  t.match((await put({ a: '1', b: '2' })).body, { id: key?.id, metadata: { a: '1', b: '2' } })
  t.strictSame((await put({ c: '3' })).body.metadata, { c: '3' })
  const removed = await put('null')
  t.equal(removed.status, 200)
  t.equal(removed.body.metadata, null)
  t.strictSame((await put({})).body.metadata, {})
})

t.test('no metadata is not null: a body is needed', async t => {
  const { call, generate } = await createService(t)
  const [key] = await generate()
  await call('PUT', `keys/${key?.id}/metadata`, { a: '1' })
  invalid(t, await call('PUT', `keys/${key?.id}/metadata`), 'body', '')
  invalid(t, await call('PUT', `keys/${key?.id}/metadata`, '', { 'content-type': 'application/json' }), 'body', '')
  t.strictSame((await call('GET', `keys/${key?.id}`)).body.metadata, { a: '1' })
})
