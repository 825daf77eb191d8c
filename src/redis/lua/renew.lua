-- renew: a lease's deadline moves to max(present, min(now + leaseMs, acquiredAt + the longest hold)).
-- ARGV 3 id of the key, 4 fence, 5 owner, 6 leaseMs or '', 7 whether the key is kept alive too ('1')
-- Answers renewed with the lease; lease-lost; forbidden; lease-too-long; max-hold-reached; unknown-pool. O(log n).
function verbs.renew(a)
  local id, leaseMs = a[1], tonumber(a[4])
  if leaseMs and leaseMs > policy.leaseMs then return { 'lease-too-long' } end
  local record = findLease(id, tonumber(a[2]))
  if not record then return { 'lease-lost' } end
  if not isOwned(record, a[3]) then return { 'forbidden' } end
  local last = record[ACQUIRED_AT] + policy.longestHold
  if record[UNTIL] >= last then return { 'max-hold-reached' } end
  record[UNTIL] = max(record[UNTIL], min(now + (leaseMs or record[HOLD_MS]), last))
  call('ZADD', HOLDS, record[UNTIL], id)
  if a[5] then keepAlive(id, record) end
  write(id, record)
  return shown('renewed', id, record, false)
end
