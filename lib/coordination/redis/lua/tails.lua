-- Reads the last of what became of the ticks of many jobs, in short.
--
-- KEYS  fence
-- ARGV  how many runs, and how many ranges of ticks, of each job; their ids
-- Reply of each job two lists: of its runs, the last that was told first, each as its entry up to what is long, and the beginning
--       of its error, `''` for none; and of its ranges of ticks, as in history.lua, the newest first

--- @include "strings"
--- @include "keys"

local count = ARGV[1]
local tails = {}
for i = 2, #ARGV do
  local runs = {}
  -- A key may be of another type.
  local kept = redis.pcall('XREVRANGE', base .. KEY_HISTORY .. ARGV[i], '+', '-', 'COUNT', count)
  if kept.err then
    if not find(kept.err, 'WRONGTYPE', 1, true) then return kept end
    kept = {}
  end
  for j = 1, #kept do
    local entry = kept[j][2][2]
    -- Attempts, progress, result, error and log are its last keys; a quote within a text stands behind a backslash.
    local long = find(entry, ',"[apvex]":')
    local failure = ''
    if long then
      local at = find(entry, ',"e":[', long, true)
      if at then failure = sub(entry, at + 6, at + 5 + TAIL_ERROR) end
      entry = sub(entry, 1, long - 1) .. '}'
    end
    runs[2 * j - 1], runs[2 * j] = entry, failure
  end
  local ticks = redis.pcall('ZRANGE', base .. KEY_TICKS .. ARGV[i], 0, count - 1, 'REV')
  tails[2 * i - 3], tails[2 * i - 2] = runs, ticks.err and {} or ticks
end
return tails
