INSERT INTO certificates (process, name, certificate, renewed_from)
VALUES ($1, $2, $3, NULL)
ON CONFLICT (process, name) DO UPDATE SET certificate = $3, renewed_from = NULL
