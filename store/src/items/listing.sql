SELECT items.id, items.account_id, items.name, items.kind, items.sharing, items.newest,
    items.generation, items.created_at_ms, accounts.name AS account_name, versions.listing,
    versions.package_bytes
FROM items
JOIN accounts ON accounts.id = items.account_id
JOIN versions ON versions.item_id = items.id AND versions.number = items.newest
WHERE items.id = $1
