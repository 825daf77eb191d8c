import { Agent } from 'node:http'
import t from 'tap'
import { createService, send } from '../support/create-service.ts'

const CALLERS = 64
const KEYS = 20
const CALLS = 20_000

t.test('64 callers on 20 keys: no key is ever held twice, and its fences grow', async t => {
  const { generate, counts, listen } = await createService(t)
  const port = await listen()
  const agent = new Agent({ keepAlive: true, maxSockets: CALLERS })
  t.teardown(() => agent.destroy())
  await generate(KEYS)

  let calls = 0
  let grants = 0
  const ask = (method: string, path: string, body?: object) => {
    calls++
    return send(port, method, path, { agent, ...(body ? { body } : {}) }).answer
  }
  /** The key's holder, from the moment when it learns of its lease until the one before it gives it back. */
  const holders = new Map<string, number>()
  const fences = new Map<string, number>()
  const statuses = new Map<string, number>()
  const count = (what: string): number => statuses.set(what, (statuses.get(what) ?? 0) + 1).get(what) as number

  async function caller(number: number): Promise<void> {
    // Some wait for a key, some ask again and again.
    const body = number % 2 === 0 ? { waitMs: 60_000 } : {}
    let lost = ''
    while (calls < CALLS) {
      const { status, body: lease } = await ask('POST', 'leases', body)
      count(`acquire ${status}`)
      if (status !== 201) continue
      grants++
      if (holders.has(lease.keyId)) throw new Error(`${lease.keyId} has two holders`)
      if (lease.fence <= (fences.get(lease.keyId) ?? 0)) throw new Error(`the fence ${lease.fence} does not grow`)
      holders.set(lease.keyId, number)
      fences.set(lease.keyId, lease.fence)

      // What was released before may not be released for its next holder.
      if (lost !== '' && grants % 3 === 0) count(`release again ${(await ask('DELETE', lost)).status}`)
      if (grants % 5 === 0) count(`look ${(await ask('GET', `leases/${lease.id}`)).status}`)
      holders.delete(lease.keyId)
      lost = `leases/${lease.id}`
      count(`release ${(await ask('DELETE', lost)).status}`)
    }
  }
  await Promise.all(Array.from({ length: CALLERS }, (_, number) => caller(number)))

  t.ok(calls >= CALLS)
  t.ok(grants > CALLS / 10, `${grants} leases`)
  t.equal(fences.size, KEYS, 'each key was leased')
  const seen = [...statuses.keys()].sort()
  const possible = ['acquire 201', 'acquire 404', 'look 200', 'release 204', 'release again 204', 'release again 410']
  t.strictSame(
    seen.filter(what => !possible.includes(what)),
    []
  )
  t.match(await counts(), { total: KEYS, free: KEYS, leased: 0, waiting: 0 })
})
