import t from 'tap'
import { KeyPool } from '../../src/pool/key-pool.ts'
import { ManualClock } from '../support/manual-clock.ts'

t.test('a lease ends at its deadline, not before', async t => {
  const clock = new ManualClock()
  const pool = new KeyPool({ clock: clock.now })
  pool.generate(1)
  pool.acquire()

  clock.advance(59_999)
  t.equal(pool.acquire(), 'no-free-key')
  clock.advance(1)
  t.not(pool.acquire(), 'no-free-key')
})
