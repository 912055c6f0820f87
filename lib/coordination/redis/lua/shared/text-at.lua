-- The string at a key; an empty one where there is none, or something else.
local function textAt(key)
  local text = redis.pcall('GET', key)
  return type(text) == 'string' and text or ''
end
