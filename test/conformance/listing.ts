import type { Engine, KeyState, KeyView } from '../../src/engine.ts'
import { generate, granted } from '../support/create-engine.ts'
import { acquireAll, type Facts, KEEP_ALIVE_MS, LEASE_MS, POOL } from './provided.ts'

/** All pages. */
async function walk(
  engine: Engine,
  { limit = 100, state, between }: { limit?: number; state?: KeyState; between?: () => Promise<unknown> } = {}
): Promise<KeyView[]> {
  const met: KeyView[] = []
  let cursor: string | undefined
  for (let pages = 0; pages < 10_000; pages++) {
    const page = await granted(engine.list(POOL, { limit, state, cursor }))
    if (page.keys.length > limit) throw new Error(`${page.keys.length} keys on a page of ${limit}`)
    met.push(...page.keys)
    if (page.nextCursor === null) return met
    cursor = page.nextCursor
    await between?.()
  }
  throw new Error('the walk does not end')
}

const ids = (keys: readonly { id: string }[]): string[] => keys.map(({ id }) => id).sort()

export const listing: Facts = {
  'an empty pool has one empty page': async (t, { engine }) => {
    t.strictSame(await engine.list(POOL, { limit: 1 }), { keys: [], nextCursor: null })
    t.strictSame(await engine.list(POOL, { limit: 1000, state: 'leased' }), { keys: [], nextCursor: null })
  },

  'each key is listed once while nothing happens, whatever the length of a page': async (t, { engine }) => {
    const made = await generate(engine, 25)
    const leases = await acquireAll(engine, 10)
    for (const { id } of leases.slice(0, 4)) await granted(engine.release(POOL, id, { cooldownMs: 1000 }))
    for (const limit of [1, 3, 25, 1000]) t.strictSame(ids(await walk(engine, { limit })), ids(made), `by ${limit}`)
  },

  'a key is listed as it is shown alone': async (t, { engine, advance }) => {
    await generate(engine, 3)
    const leases = await acquireAll(engine, 2)
    await granted(engine.release(POOL, leases[0]?.id ?? '', { cooldownMs: 1000 }))
    await granted(engine.setMetadata(POOL, leases[1]?.keyId ?? '', { a: 'b' }))
    await advance(10)
    for (const key of await walk(engine)) t.strictSame(key, await engine.key(POOL, key.id))
  },

  'the keys of one state are listed alone': async (t, { engine, advance }) => {
    await generate(engine, 9)
    const leases = await acquireAll(engine, 5)
    for (const { id } of leases.slice(0, 2)) await granted(engine.release(POOL, id, { cooldownMs: 1000 }))
    for (const [state, count] of [
      ['free', 4],
      ['leased', 3],
      ['cooling', 2]
    ] as const) {
      const listed = await walk(engine, { state, limit: 2 })
      t.equal(new Set(ids(listed)).size, count, state)
      t.ok(listed.every(key => key.state === state))
    }
    t.strictSame(
      ids(await walk(engine, { state: 'cooling' })),
      ids(leases.slice(0, 2).map(({ keyId: id }) => ({ id })))
    )
    await advance(1000)
    t.equal((await walk(engine, { state: 'cooling' })).length, 0)
    t.equal((await walk(engine, { state: 'free' })).length, 6)
    await advance(LEASE_MS - 1000)
    t.equal((await walk(engine, { state: 'free' })).length, 9)
  },

  'a dead key is not listed': async (t, { engine, advance }) => {
    const [kept] = await generate(engine, 500)
    await advance(1)
    await granted(engine.keepAlive(POOL, kept?.id ?? ''))
    await advance(KEEP_ALIVE_MS - 2)
    t.equal((await walk(engine)).length, 500)
    await advance(1)
    t.strictSame(ids(await walk(engine)), [kept?.id])
  },

  'a key that keeps its state during the whole walk is listed, whatever else happens': async (t, { engine }) => {
    const made = await generate(engine, 60)
    const held = await acquireAll(engine, 20)
    for (const state of ['free', 'leased', undefined] as const) {
      const steady = new Set(
        (await walk(engine, { limit: 1000 }))
          .filter(key => state === undefined || key.state === state)
          .map(({ id }) => id)
      )
      let step = 0
      const listed = await walk(engine, {
        limit: 7,
        ...(state === undefined ? {} : { state }),
        between: async () => {
          // Keys come and go, change their state and come back, before the place of the walk and behind it.
          step++
          const lease = await granted(engine.acquire(POOL, { leaseMs: 1000 }))
          steady.delete(lease.keyId)
          if (step % 2 === 0) await granted(engine.release(POOL, lease.id))
          const gone = held.pop() as (typeof held)[0]
          steady.delete(gone.keyId)
          if (step % 3 === 0) await granted(engine.delete(POOL, gone.keyId))
          else await granted(engine.release(POOL, gone.id))
          await generate(engine, 2)
        }
      })
      const met = new Set(listed.map(({ id }) => id))
      t.strictSame(
        [...steady].filter(id => !met.has(id)),
        [],
        `${state}`
      )
      held.push(...(await acquireAll(engine, 20)))
    }
    t.equal(made.length, 60)
  },

  'what is no cursor is refused': async (t, { engine }) => {
    await generate(engine, 3)
    for (const cursor of ['', 'nonsense', '0', '-1', '%00', 'x'.repeat(5000)]) {
      t.strictSame(await engine.list(POOL, { limit: 1, cursor }), { refusal: 'bad-cursor' }, cursor)
    }
  }
}
