-- Takes back what a call of abandon.lua has recorded, as too few masters have: the runs are open again, as they were.
--
-- KEYS  fence
-- ARGV  the call's id, then the ids of the runs

--- @include "strings"
--- @include "clock"
--- @include "keys"
--- @include "text-at"

redis.call('EXISTS', openKey) -- Before anything is written: a Cluster whose slot is moving may refuse it.
for i = 2, #ARGV do
  local mark = base .. KEY_ABANDONED .. ARGV[i]
  local callId, member = match(textAt(mark), '^(%S+) (.+)$')
  if callId == ARGV[1] then
    redis.call('DEL', mark)
    redis.call('ZADD', openKey, format('%.0f', now - REOPENED_SINCE), member)
  end
end
