-- Under the empty path, which is nobody's, lies the number of the last landing, MessagePack.
INSERT OR REPLACE INTO pending (path, intent) VALUES (x'', x'00');
