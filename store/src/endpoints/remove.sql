DELETE FROM endpoints
WHERE id = $1 AND deleting = 1
    AND NOT EXISTS (SELECT 1 FROM endpoints AS its WHERE its.variant_of = $1)
