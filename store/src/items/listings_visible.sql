SELECT items.id, items.account_id, items.name, items.kind, items.sharing, items.newest,
    items.generation, items.created_at_ms, accounts.name AS account_name, versions.listing,
    versions.package_bytes
FROM items
JOIN accounts ON accounts.id = items.account_id
JOIN versions ON versions.item_id = items.id AND versions.number = items.newest
WHERE items.id > $2
    AND (
        items.account_id = $1
        OR items.sharing = 'everybody'
        OR (
            items.sharing = 'accounts'
            AND EXISTS (
                SELECT 1
                FROM item_grants
                WHERE item_grants.item_id = items.id AND item_grants.account_id = $1
            )
        )
    )
ORDER BY items.id
LIMIT $3
