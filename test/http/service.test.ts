import t from 'tap'
import { PROBLEMS } from '../../src/http/problems.ts'
import { createService } from '../support/create-service.ts'
import { KEEP_ALIVE_MS } from '../support/pool.ts'
import { refused, STATUS_OF } from '../support/problems.ts'

t.test('the process lives', async t => {
  const { call, service } = await createService(t)
  t.strictSame((await call('GET', '/livez')).body, { status: 'ok' })
  service.drain()
  t.match(await call('GET', '/livez'), { status: 200, body: { status: 'ok' } })
})

t.test('the service is ready unless the sweep is two seconds behind', async t => {
  const { call, clock, generate } = await createService(t)
  t.match(await call('GET', '/readyz'), { status: 200, type: 'application/json', body: { status: 'ok' } })
  await generate()
  clock.stall(KEEP_ALIVE_MS + 1999)
  t.equal((await call('GET', '/readyz')).status, 200)
  clock.stall(1)
  const late = await call('GET', '/readyz')
  refused(t, late, 'not-ready', { reasons: [/behind/] })
  t.match(await call('HEAD', '/readyz'), { status: 503, text: '' })
  t.equal((await call('GET', '/livez')).status, 200)
  clock.advance(0)
  t.equal((await call('GET', '/readyz')).status, 200)
})

t.test('from the signal on the service is not ready, and serves until it drains', async t => {
  const { call, service, generate } = await createService(t)
  service.announceStop()
  refused(t, await call('GET', '/readyz'), 'draining', { reasons: ['draining'] })
  t.equal((await generate(2)).length, 2)
  t.equal((await call('POST', 'leases')).status, 201)
  service.drain()
  refused(t, await call('GET', '/readyz'), 'draining', { reasons: ['draining'] })
  refused(t, await call('POST', 'leases'), 'draining')
})

t.test('each problem is explained', async t => {
  const { call } = await createService(t)
  for (const [code, status] of Object.entries(STATUS_OF)) {
    const answer = await call('GET', `/problems/${code}`)
    t.match(answer, { status: 200, type: 'application/json', body: { code, status, title: /\w/, about: /\w/ } })
    t.strictSame(Object.keys(answer.body).sort(), ['about', 'code', 'status', 'title'])
  }
  t.strictSame(Object.keys(PROBLEMS).sort(), Object.keys(STATUS_OF).sort(), 'those of the contract, and no others')
})

t.test('a problem that is none is not found', async t => {
  const { call } = await createService(t)
  for (const code of ['nonsense', 'toString', '__proto__', 'INTERNAL', '%20']) {
    refused(t, await call('GET', `/problems/${code}`), 'not-found')
  }
})

t.test('the type of a problem leads to its explanation', async t => {
  const { call } = await createService(t)
  const { body } = await call('POST', 'leases')
  t.match(await call('GET', body.type), {
    status: 200,
    body: { code: body.code, status: body.status, title: body.title }
  })
})

t.test('the document and its page are served', async t => {
  const { call } = await createService(t)
  const page = await call('GET', '/docs')
  t.match(page, { status: 200, type: 'text/html' })
  t.match(page.text, 'swagger-ui')
  const document = await call('GET', '/docs/json')
  t.match(document, { status: 200, type: 'application/json', body: { openapi: /^3\.1\./ } })
  t.equal((await call('GET', '/docs/static/swagger-ui.css')).status, 200)
  for (const headers of [{ 'if-match': '"x"' }, { range: 'bytes=99999999-' }]) {
    t.equal((await call('GET', '/docs/static/swagger-ui.css', undefined, headers)).status, 400)
  }
  for (const path of [
    '/docs/nothing',
    '/docs/static/nothing.js',
    '/docs/static/%00',
    '/docs/static/..%2f..%2fpackage.json'
  ]) {
    const answer = await call('GET', path)
    t.match(answer, { status: 404, type: 'application/problem+json', body: { code: 'not-found' } }, path)
  }
})
