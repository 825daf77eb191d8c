import fc from 'fast-check'
import t from 'tap'
import { type Engine, isRefusal, type LeaseView } from '../../src/engine.ts'
import { MemoryEngine } from '../../src/memory/engine.ts'
import { granted, turns } from '../support/create-engine.ts'
import { ManualClock } from '../support/manual-clock.ts'

const POOL = 'default'

/** Something that happens to a pool; `n` picks a lease, a caller or a length. */
type Step = { act: 'wait' | 'ask' | 'leave' | 'generate' | 'pass' | 'stall' | Ending | 'renew' | 'batch'; n: number }
type Ending = 'release' | 'cool' | 'unblock' | 'delete'

interface Caller {
  answer: Awaited<ReturnType<Engine['acquire']>> | undefined
  patientUntil: number
  left: boolean
  controller: AbortController
}

/** One run: throws where a key has two holders, somebody is passed over, waits too long, or waits beside a free key. */
async function play(steps: readonly Step[]): Promise<void> {
  const clock = new ManualClock()
  const wrong: unknown[] = []
  const engine = new MemoryEngine({ clock, onFault: error => void wrong.push(error) })
  await granted(engine.putPool(POOL, { leaseMs: 100, maxHoldMs: 300, keepAliveMs: 5000 }))
  const callers: Caller[] = []
  const leases: LeaseView[] = []
  const held = new Map<string, LeaseView>()

  function grant(lease: LeaseView): void {
    const before = held.get(lease.keyId)
    if (before !== undefined && before.fence >= lease.fence) wrong.push('a fence does not grow')
    if (before !== undefined && !isRefusal(engine.lease(POOL, before.id))) wrong.push('a key has two holders')
    held.set(lease.keyId, lease)
    leases.push(lease)
  }

  function call(waitMs: number): void {
    const controller = new AbortController()
    const caller: Caller = { answer: undefined, patientUntil: clock.now() + waitMs, left: false, controller }
    callers.push(caller)
    const answer = engine.acquire(POOL, { waitMs }, { signal: controller.signal })
    void Promise.resolve(answer).then(answer => {
      caller.answer = answer
      const index = callers.indexOf(caller)
      if (isRefusal(answer)) {
        if (!caller.left && clock.now() < caller.patientUntil) wrong.push('refused before its time')
        return
      }
      if (callers.slice(0, index).some(({ answer }) => answer === undefined))
        throw new Error('somebody was passed over')
      grant(answer)
    })
  }

  async function take({ act, n }: Step): Promise<void> {
    const lease = leases.at(-1 - (n % 8))
    if (act === 'wait') call([50, 100, 1000, 10_000][n % 4] as number)
    if (act === 'ask') call(0)
    if (act === 'generate') await engine.generate(POOL, { count: 1, metadata: null })
    if (act === 'pass') clock.advance([0, 1, 50, 99, 100, 5000][n % 6] as number)
    if (act === 'stall') clock.stall([1, 50, 99, 100][n % 4] as number)
    if (act === 'leave') {
      const caller = callers.filter(({ answer }) => answer === undefined)[n % 3]
      if (caller !== undefined) caller.left = true
      caller?.controller.abort()
    }
    if (lease === undefined) return
    if (act === 'release') await engine.release(POOL, lease.id)
    if (act === 'cool') await engine.release(POOL, lease.id, { cooldownMs: 70 })
    if (act === 'unblock') await engine.unblock(POOL, lease.keyId)
    if (act === 'delete') await engine.delete(POOL, lease.keyId)
    if (act === 'renew') await engine.renew(POOL, lease.id, { keepAlive: true })
    if (act === 'batch') {
      const outcomes = await engine.batch(POOL, [{ op: 'release', lease: lease.id }, { op: 'acquire' }])
      const value = isRefusal(outcomes) ? undefined : outcomes[1]?.value
      if (typeof value === 'object' && value !== null && 'fence' in value) grant(value as LeaseView)
    }
  }

  try {
    for (const step of steps) {
      await take(step)
      await turns()
      if (step.act === 'stall') continue
      clock.advance(0)
      await turns()
      const { counts } = await granted(engine.pool(POOL))
      if (counts.waiting > 0 && counts.free > 0) wrong.push('somebody waits beside a free key')
      const late = callers.some(({ answer, patientUntil }) => answer === undefined && patientUntil <= clock.now())
      if (late) wrong.push('somebody waits too long')
      if (wrong.length > 0) throw new Error(String(wrong))
    }
  } finally {
    engine.close()
  }
}

t.test('whatever happens, the longest wait is served first, and nobody waits beside a free key', async t => {
  const acts: Step['act'][] = [
    'wait',
    'wait',
    'wait',
    'ask',
    'leave',
    'leave',
    'generate',
    'pass',
    'pass',
    'stall',
    'stall'
  ]
  const more: Step['act'][] = ['release', 'release', 'cool', 'unblock', 'delete', 'renew', 'renew', 'batch']
  const step = fc.record({ act: fc.constantFrom(...acts, ...more), n: fc.nat(23) })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60, size: 'max' }), steps => play(steps)),
    { numRuns: 500 }
  )
  t.pass('in 500 runs')
})
