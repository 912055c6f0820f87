-- Puts a request for a run by hand into the queue of its job. One without data joins another without data and with its
-- concurrency key that waits already. A repeated call finds its own request there.
--
-- KEYS  fence
-- ARGV  the job's id, the request's id, its concurrency key or NOBODY, 1 or 0 for whether it has data, what it brings as
--       JSON, and whether somebody waits for its result: then what an earlier request brings is replaced as well
-- Reply the id of the request that waits, and 1 where it is this one; '' where too many wait

--- @include "strings"
--- @include "clock"
--- @include "keys"
--- @include "queue"

local jobId, id, key, hasData, brought, isAwaited = unpack(ARGV)
local members = redis.call('ZRANGE', queueKey(jobId), 0, -1)
local count = 0
for i = 1, #members do
  local itsId, itsKey, itHasData = match(members[i], '^r (%S+) (%S+) (%d)$')
  if itsId then
    count = count + 1
    if itsId == id then return { id, '1' } end
    if hasData == '0' and itHasData == '0' and itsKey == key then
      if isAwaited == '1' then redis.call('HSET', requestsKey(jobId), itsId, brought) end
      return { itsId, '0' }
    end
  end
end
if count >= MAX_WAITING then return { '', '0' } end
-- In this order: what cannot be written as a whole does not begin without what it has brought.
redis.call('HSET', requestsKey(jobId), id, brought)
redis.call('PEXPIRE', requestsKey(jobId), KEEP_WAITING)
enqueue(jobId, format('%.0f', micros), 'r ' .. id .. ' ' .. key .. ' ' .. hasData)
return { id, '1' }
