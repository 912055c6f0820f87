local find, format, gmatch, match, sub = string.find, string.format, string.gmatch, string.match, string.sub
