-- acquire: a lease of a random free key, for a caller that is alone or stands in line.
-- ARGV 3 leaseMs or '', 4 holder, 5 owner, 6 scope of a retry, 7 its fingerprint, 8 whether it would wait ('1'),
--   9 waiter, 10 … random numbers of 0 … 1
-- Answers granted with the lease; waiting; joined (another node's call of this scope waits); no-free-key with counts and
--   the time to the next end of a hold; behind; lease-too-long; overloaded; idempotency-key-reused; unknown-pool.
-- O(log n).
function verbs.acquire(a, passesLine, reserved)
  local leaseMs, holder, owner, scope, fingerprint = tonumber(a[1]) or policy.leaseMs, a[2], a[3], a[4], a[5]
  local waits, waiter = a[6], a[7]
  if scope then
    local served = call('HGET', SERVED, scope)
    if served then
      served = cmsgpack.unpack(served)
      local record = findLease(served[2], served[3])
      if record then
        return served[1] == fingerprint and shown('granted', served[2], record, true) or { 'idempotency-key-reused' }
      end
    end
  end
  if leaseMs > policy.leaseMs then return { 'lease-too-long' } end
  dropDead()
  local before = passesLine and reserved or call('ZCARD', LINE)
  if before < count(FREE) then
    local lease = grant({ a[8], a[9], a[10], a[11] }, leaseMs, holder, owner, scope, fingerprint)
    if lease then return lease end
  end
  if isDue() then return { 'behind' } end
  if not waits then return noFreeKey() end
  if scope then
    local other = call('HGET', WAITS, scope)
    if other and call('ZSCORE', LINE, other) then return { 'joined' } end
  end
  if before >= MAX_WAITING then return { 'overloaded' } end
  call('ZADD', LINE, call('HINCRBY', POOL, 'arrivals', 1), waiter)
  call('ZADD', NODES, now, string.match(waiter, '^[^:]*'))
  if scope then
    call('HSET', WAITS, scope, waiter)
    call('HSET', SCOPES, waiter, scope)
  end
  return { 'waiting' }
end
