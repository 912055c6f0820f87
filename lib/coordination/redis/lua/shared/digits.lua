-- Numbers are written out in full. Jobs with one trigger share most of theirs: each is written once.
local writtenNumbers = {}
local function digits(number)
  local text = writtenNumbers[number]
  if not text then
    text = format('%.0f', number)
    writtenNumbers[number] = text
  end
  return text
end
