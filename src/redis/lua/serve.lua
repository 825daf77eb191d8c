-- serve: those who wait at a node are given what is free, as far as nobody before them has a claim to it.
-- ARGV 3 node, then for each waiter, in the order of their arrival, nine: waiter, the number of its arrival, the pool's birth
--   then, leaseMs or '', holder, owner, scope, fingerprint, a random number of 0 … 1
-- Answers served, whether the sweep has work left, when the next deadline is due (or nil), and for each waiter that was
--   answered: granted with the lease; lease-too-long; idempotency-key-reused; unknown-pool, where the pool is another by
--   now; unknown-pool. O(waiters * log n).

-- The answer to the waiter at `i`, or nil; and whether a key was drawn.
local function serveOne(a, i)
  local waiter, leaseMs, scope = a[i], tonumber(a[i + 3]) or policy.leaseMs, a[i + 6]
  local before = call('ZRANK', LINE, waiter)
  if not before then return { 'unknown-pool' } end
  local served = scope and servedBefore(scope, a[i + 7])
  if served then return served end
  if before >= count(FREE) then return nil end
  if leaseMs > policy.leaseMs then return { 'lease-too-long' } end
  return grant({ a[i + 8] }, leaseMs, a[i + 4], a[i + 5], scope, a[i + 7]), true
end

function verbs.serve(a)
  call('ZADD', NODES, now, a[1])
  dropDead(LOOKED_AT)
  -- Where its node was silent for too long, a waiter was taken for dead.
  local born = call('HGET', POOL, 'born')
  for i = 2, #a, 9 do
    if a[i + 2] == born and not call('ZSCORE', LINE, a[i]) then lineUp(a[i], a[i + 1], a[i + 6]) end
  end
  local answers, hasMore = {}, false
  for i = 2, #a, 9 do
    local answer, drawn = serveOne(a, i)
    -- What was drawn was dead: another may live.
    if not answer then hasMore = drawn break end
    leave(a[i])
    answers[#answers + 1] = answer
  end
  local isBehind = isDue() or hasMore
  return { 'served', isBehind and 1 or 0, inMs(soonestOf(HOLDS, LIVES)), answers }
end
