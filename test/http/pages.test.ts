import t from 'tap'
import { createService } from '../support/create-service.ts'

t.test('pages have a policy of what they may load, and calls of the API have no such header', async t => {
  const { call } = await createService(t)
  for (const path of ['/docs', '/docs/json', '/docs/static/swagger-ui.css', '/docs/static/swagger-initializer.js']) {
    const { status, headers } = await call('GET', path)
    t.equal(status, 200, path)
    t.match(headers['content-security-policy'], /^default-src 'none';script-src 'self';/, path)
    t.match(headers, { 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' }, path)
    t.notOk('strict-transport-security' in headers, path)
  }
  t.strictSame(Object.keys((await call('GET', '/v1/pools')).headers).sort(), [
    'cache-control',
    'connection',
    'content-length',
    'content-type',
    'date',
    'x-request-id'
  ])
  t.notMatch((await call('GET', '/docs/static/swagger-initializer.js')).text, 'validator.swagger.io')
})
