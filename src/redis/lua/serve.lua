-- serve: those who wait at a node are given what is free, as far as nobody before them has a claim to it.
-- ARGV 3 node, then for each waiter, in the order of their arrival, seven: waiter, leaseMs or '', holder, owner, scope,
--   fingerprint, a random number of 0 … 1
-- Answers served, whether deadlines are left that are due, when the next is (or nil), and for each waiter that was
--   answered: granted with the lease, or lease-too-long; unknown-pool. O(waiters * log n).
function verbs.serve(a)
  call('ZADD', NODES, now, a[1])
  dropDead()
  local answers = {}
  for i = 2, #a, 7 do
    local waiter, leaseMs, scope = a[i], tonumber(a[i + 1]) or policy.leaseMs, a[i + 4]
    local before = call('ZRANK', LINE, waiter)
    if not before then
      -- Its node was silent for so long that it was taken for dead.
      call('ZADD', LINE, call('HINCRBY', POOL, 'arrivals', 1), waiter)
      before = call('ZCARD', LINE) - 1
    end
    if before >= count(FREE) then break end
    local answer
    if leaseMs > policy.leaseMs then
      answer = { 'lease-too-long' }
    else
      answer = grant({ a[i + 6] }, leaseMs, a[i + 2], a[i + 3], scope, a[i + 5])
    end
    if not answer then break end
    leave(waiter)
    answers[#answers + 1] = answer
  end
  local soonest = false
  for _, set in ipairs({ HOLDS, LIVES }) do
    local first = call('ZRANGE', set, 0, 0, 'WITHSCORES')[2]
    if first and (not soonest or tonumber(first) < soonest) then soonest = tonumber(first) end
  end
  return { 'served', soonest and soonest <= now and 1 or 0, soonest and max(0, soonest - now), answers }
end
