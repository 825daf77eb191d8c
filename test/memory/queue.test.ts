import fc from 'fast-check'
import t from 'tap'
import { type Place, Queue } from '../../src/memory/queue.ts'

t.test('whoever came first is first, until it leaves', async t => {
  const queue = new Queue<string>()
  t.equal(queue.first, undefined)
  const first = queue.push('first')
  queue.push('second')
  t.equal(queue.first, 'first')
  queue.remove(first)
  t.equal(queue.first, 'second')
  t.equal(queue.size, 1)
})

t.test('leaving twice, or another queue, changes nothing', async t => {
  const queue = new Queue<string>()
  const other = new Queue<string>()
  const place = queue.push('a')
  other.push('b')
  other.remove(place)
  queue.remove(place)
  queue.remove(place)
  t.equal(queue.size, 0)
  t.equal(queue.first, undefined)
  t.equal(other.size, 1)
})

t.test('a queue is a list that can be left from anywhere', async () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.nat(20), { nil: 'push' as const }), { maxLength: 200 }), steps => {
      const queue = new Queue<number>()
      const twin: Place<number>[] = []
      for (const [i, step] of steps.entries()) {
        if (step === 'push') twin.push(queue.push(i))
        else for (const place of twin.splice(step, 1)) queue.remove(place)
        if (queue.size !== twin.length || queue.first !== twin[0]?.value) return false
      }
      // In order to the end, so that every link has been followed.
      return twin.every(place => {
        const right = queue.first === place.value
        queue.remove(place)
        return right
      })
    })
  )
})
