SELECT process
FROM certificates
WHERE process = $1 AND name = $2 AND (certificate = $3 OR renewed_from = $3)
