UPDATE certificates
SET certificate = $4, renewed_from = $3
WHERE process = $1 AND name = $2 AND (certificate = $3 OR renewed_from = $3)
