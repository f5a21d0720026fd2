"""The tables of shop systems, as far as docs/shops.md names them, written anew from the systems' documentation.

Those of the installers have more columns.
"""

from collections.abc import Iterable

from tests.local.shop_rows import CITIES, N_USERS, insert, items, visits


def woocommerce() -> Iterable[str]:
    """The lookup tables of WooCommerce's analytics, with the posts and comments of WordPress beside them."""
    yield """CREATE TABLE wp_wc_customer_lookup (customer_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
      user_id BIGINT UNSIGNED, username VARCHAR(60) NOT NULL DEFAULT '', first_name VARCHAR(255) NOT NULL,
      email VARCHAR(100), date_registered TIMESTAMP NULL, country CHAR(2) NOT NULL DEFAULT '',
      postcode VARCHAR(20) NOT NULL DEFAULT '', city VARCHAR(100) NOT NULL DEFAULT '',
      state VARCHAR(100) NOT NULL DEFAULT '')"""
    yield """CREATE TABLE wp_wc_order_stats (order_id BIGINT UNSIGNED PRIMARY KEY, status VARCHAR(200) NOT NULL,
      customer_id BIGINT UNSIGNED NOT NULL, date_created DATETIME NOT NULL DEFAULT '0000-00-00 00:00:00')"""
    yield """CREATE TABLE wp_wc_order_product_lookup (order_item_id BIGINT UNSIGNED PRIMARY KEY,
      order_id BIGINT UNSIGNED NOT NULL, product_id BIGINT UNSIGNED NOT NULL, variation_id BIGINT UNSIGNED NOT NULL,
      customer_id BIGINT UNSIGNED NULL, date_created DATETIME NOT NULL DEFAULT '0000-00-00 00:00:00',
      product_qty INT NOT NULL, product_net_revenue DOUBLE NOT NULL DEFAULT 0)"""
    yield """CREATE TABLE wp_posts (ID BIGINT UNSIGNED PRIMARY KEY, post_date DATETIME NOT NULL,
      post_title TEXT NOT NULL, post_status VARCHAR(20) NOT NULL, post_type VARCHAR(20) NOT NULL)"""
    yield """CREATE TABLE wp_wc_product_meta_lookup (product_id BIGINT PRIMARY KEY, sku VARCHAR(100) DEFAULT '',
      `virtual` TINYINT(1) DEFAULT 0, min_price DECIMAL(19,4), onsale TINYINT(1) DEFAULT 0, stock_quantity DOUBLE,
      stock_status VARCHAR(100) DEFAULT 'instock', average_rating DECIMAL(3,2) DEFAULT 0.00)"""
    yield "CREATE TABLE wp_terms (term_id BIGINT UNSIGNED PRIMARY KEY, name VARCHAR(200) NOT NULL)"
    yield """CREATE TABLE wp_term_taxonomy (term_taxonomy_id BIGINT UNSIGNED PRIMARY KEY,
      term_id BIGINT UNSIGNED NOT NULL, taxonomy VARCHAR(32) NOT NULL)"""
    yield """CREATE TABLE wp_term_relationships (object_id BIGINT UNSIGNED NOT NULL,
      term_taxonomy_id BIGINT UNSIGNED NOT NULL, PRIMARY KEY (object_id, term_taxonomy_id))"""
    yield """CREATE TABLE wp_comments (comment_ID BIGINT UNSIGNED PRIMARY KEY, comment_post_ID BIGINT UNSIGNED NOT NULL,
      comment_date DATETIME NOT NULL, comment_approved VARCHAR(20) NOT NULL, comment_type VARCHAR(20) NOT NULL,
      user_id BIGINT UNSIGNED NOT NULL DEFAULT 0)"""
    yield """CREATE TABLE wp_commentmeta (meta_id BIGINT UNSIGNED PRIMARY KEY, comment_id BIGINT UNSIGNED NOT NULL,
      meta_key VARCHAR(255), meta_value LONGTEXT)"""
    yield insert(
        "wp_wc_customer_lookup",
        (
            (n, n + 1000, f"u{n}", "A", f"u{n}@example.org", None, "DE" if n % 2 else "FR", "1", CITIES[n % 4], "")
            for n in range(1, N_USERS + 1)
        ),
    )
    yield insert("wp_posts", ((i.number, "2024-01-01", i.name, "publish", "product") for i in items()))
    yield insert("wp_posts", [(9999, "2024-01-01", "A page", "publish", "page")])
    yield insert(
        "wp_wc_product_meta_lookup",
        (
            (
                i.number,
                f"S{i.number}",
                0,
                i.price,
                i.number % 2,
                i.stock,
                "outofstock" if i.stock == 0 else "instock",
                4,
            )
            for i in items()
        ),
    )
    yield insert("wp_terms", ((n, f"Category {n}") for n in range(1, 7)))
    yield insert("wp_term_taxonomy", ((n + 10, n, "product_cat") for n in range(1, 7)))
    yield insert("wp_term_relationships", ((i.number, i.group + 10) for i in items()))
    yield insert(
        "wp_wc_order_stats",
        ((v.number, "wc-cancelled" if v.number % 25 == 0 else "wc-completed", v.user, v.when) for v in visits()),
    )
    yield insert(
        "wp_wc_order_product_lookup",
        ((v.number, v.number, v.item, 0, None if v.by_guest else v.user, v.when, 1, 9.5) for v in visits()),
    )
    yield insert(
        "wp_comments",
        ((v.number, v.item, v.when, "1", "review", 0 if v.by_guest else v.user + 1000) for v in visits()),
    )
    yield insert("wp_commentmeta", ((v.number, v.number, "rating", v.stars) for v in visits()))


def prestashop() -> Iterable[str]:
    yield """CREATE TABLE ps_customer (id_customer INT UNSIGNED PRIMARY KEY, id_gender INT UNSIGNED NOT NULL,
      id_lang INT UNSIGNED, firstname VARCHAR(255) NOT NULL, email VARCHAR(255) NOT NULL, birthday DATE,
      newsletter TINYINT UNSIGNED NOT NULL DEFAULT 0, is_guest TINYINT(1) NOT NULL DEFAULT 0,
      deleted TINYINT(1) NOT NULL DEFAULT 0, date_add DATETIME NOT NULL)"""
    yield """CREATE TABLE ps_product (id_product INT UNSIGNED PRIMARY KEY, id_manufacturer INT UNSIGNED,
      id_category_default INT UNSIGNED, on_sale TINYINT UNSIGNED NOT NULL DEFAULT 0,
      price DECIMAL(20,6) NOT NULL DEFAULT 0, active TINYINT UNSIGNED NOT NULL DEFAULT 1, date_add DATETIME NOT NULL)"""
    yield """CREATE TABLE ps_product_lang (id_product INT UNSIGNED, id_shop INT UNSIGNED NOT NULL DEFAULT 1,
      id_lang INT UNSIGNED, name VARCHAR(128) NOT NULL, PRIMARY KEY (id_product, id_shop, id_lang))"""
    yield """CREATE TABLE ps_stock_available (id_stock_available INT UNSIGNED PRIMARY KEY,
      id_product INT UNSIGNED NOT NULL, id_product_attribute INT UNSIGNED NOT NULL, id_shop INT UNSIGNED NOT NULL,
      quantity INT NOT NULL DEFAULT 0, out_of_stock TINYINT UNSIGNED NOT NULL DEFAULT 0)"""
    yield """CREATE TABLE ps_orders (id_order INT UNSIGNED PRIMARY KEY, id_customer INT UNSIGNED NOT NULL,
      valid INT UNSIGNED NOT NULL DEFAULT 0, date_add DATETIME NOT NULL)"""
    yield """CREATE TABLE ps_order_detail (id_order_detail INT UNSIGNED PRIMARY KEY, id_order INT UNSIGNED NOT NULL,
      product_id INT UNSIGNED NOT NULL, product_quantity INT UNSIGNED NOT NULL DEFAULT 0)"""
    yield """CREATE TABLE ps_product_comment (id_product_comment INT UNSIGNED PRIMARY KEY,
      id_product INT UNSIGNED NOT NULL, id_customer INT UNSIGNED NOT NULL, grade FLOAT UNSIGNED NOT NULL,
      validate TINYINT(1) NOT NULL, deleted TINYINT(1) NOT NULL, date_add DATETIME NOT NULL)"""
    yield insert(
        "ps_customer",
        (
            (n, n % 3, 1, "A", f"u{n}@example.org", "0000-00-00" if n % 5 else "1980-02-03", n % 2, 0, 0, "2023-05-06")
            for n in range(1, N_USERS + 1)
        ),
    )
    yield insert(
        "ps_product", ((i.number, i.number % 4, i.group, 0, i.price, 1, "2022-01-01 10:00:00") for i in items())
    )
    yield insert("ps_product_lang", ((i.number, 1, lang, i.name) for i in items() for lang in (1, 2)))
    yield insert(
        "ps_stock_available",
        ((i.number, i.number, 0, 1, i.stock or 0, 1 if i.stock is None else 2 if i.number % 2 else 0) for i in items()),
    )
    yield insert("ps_orders", ((v.number, v.user, 0 if v.number % 25 == 0 else 1, v.when) for v in visits()))
    yield insert("ps_order_detail", ((v.number, v.number, v.item, 2) for v in visits()))
    yield insert(
        "ps_product_comment",
        ((v.number, v.item, 0 if v.by_guest else v.user, v.stars, 1, 0, v.when) for v in visits()),
    )


def opencart() -> Iterable[str]:
    yield """CREATE TABLE oc_customer (customer_id INT PRIMARY KEY, customer_group_id INT NOT NULL,
      language_id INT NOT NULL, firstname VARCHAR(32) NOT NULL, email VARCHAR(96) NOT NULL,
      newsletter TINYINT(1) NOT NULL DEFAULT 0, status TINYINT(1) NOT NULL, date_added DATETIME NOT NULL)"""
    yield """CREATE TABLE oc_product (product_id INT PRIMARY KEY, model VARCHAR(64) NOT NULL,
      quantity INT NOT NULL DEFAULT 0, stock_status_id INT NOT NULL, manufacturer_id INT NOT NULL,
      price DECIMAL(15,4) NOT NULL DEFAULT 0, subtract TINYINT(1) NOT NULL DEFAULT 1,
      date_available DATE NOT NULL, status TINYINT(1) NOT NULL DEFAULT 0)"""
    yield """CREATE TABLE oc_product_description (product_id INT, language_id INT, name VARCHAR(255) NOT NULL,
      PRIMARY KEY (product_id, language_id))"""
    yield """CREATE TABLE oc_product_to_category (product_id INT, category_id INT,
      PRIMARY KEY (product_id, category_id))"""
    yield """CREATE TABLE oc_order (order_id INT PRIMARY KEY, customer_id INT NOT NULL DEFAULT 0,
      order_status_id INT NOT NULL DEFAULT 0, date_added DATETIME NOT NULL)"""
    yield """CREATE TABLE oc_order_product (order_product_id INT PRIMARY KEY, order_id INT NOT NULL,
      product_id INT NOT NULL, quantity INT NOT NULL)"""
    yield """CREATE TABLE oc_review (review_id INT PRIMARY KEY, product_id INT NOT NULL, customer_id INT NOT NULL,
      rating INT(1) NOT NULL, status TINYINT(1) NOT NULL DEFAULT 0, date_added DATETIME NOT NULL)"""
    yield insert(
        "oc_customer",
        ((n, n % 3 + 1, 1, "A", f"u{n}@example.org", n % 2, 1, "2023-05-06") for n in range(1, N_USERS + 1)),
    )
    yield insert(
        "oc_product",
        (
            (i.number, f"M{i.number}", i.stock or 0, 5, i.number % 4, i.price, i.stock is not None, "0000-00-00", 1)
            for i in items()
        ),
    )
    yield insert("oc_product_description", ((i.number, lang, i.name) for i in items() for lang in (1, 2)))
    yield insert("oc_product_to_category", ((i.number, group) for i in items() for group in {i.group, 7}))
    yield insert(
        "oc_order",
        ((v.number, 0 if v.by_guest else v.user, 0 if v.number % 25 == 0 else 5, v.when) for v in visits()),
    )
    yield insert("oc_order_product", ((v.number, v.number, v.item, 1) for v in visits()))
    yield insert("oc_review", ((v.number, v.item, 0 if v.by_guest else v.user, v.stars, 1, v.when) for v in visits()))


def magento() -> Iterable[str]:
    yield """CREATE TABLE customer_entity (entity_id INT UNSIGNED PRIMARY KEY, email VARCHAR(255),
      group_id SMALLINT UNSIGNED NOT NULL DEFAULT 0, created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
      is_active SMALLINT UNSIGNED NOT NULL DEFAULT 1, default_billing INT UNSIGNED, gender SMALLINT UNSIGNED)"""
    yield """CREATE TABLE customer_address_entity (entity_id INT UNSIGNED PRIMARY KEY, parent_id INT UNSIGNED,
      city VARCHAR(255) NOT NULL, country_id VARCHAR(255) NOT NULL, postcode VARCHAR(255), region VARCHAR(255))"""
    yield """CREATE TABLE catalog_product_entity (entity_id INT UNSIGNED PRIMARY KEY,
      attribute_set_id SMALLINT UNSIGNED NOT NULL DEFAULT 0, type_id VARCHAR(32) NOT NULL DEFAULT 'simple',
      sku VARCHAR(64) NOT NULL, created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)"""
    yield """CREATE TABLE eav_entity_type (entity_type_id SMALLINT UNSIGNED PRIMARY KEY,
      entity_type_code VARCHAR(50) NOT NULL)"""
    yield """CREATE TABLE eav_attribute (attribute_id SMALLINT UNSIGNED PRIMARY KEY,
      entity_type_id SMALLINT UNSIGNED NOT NULL, attribute_code VARCHAR(255))"""
    for table, kind in (("varchar", "VARCHAR(255)"), ("decimal", "DECIMAL(20,6)")):
        yield f"""CREATE TABLE catalog_product_entity_{table} (value_id INT PRIMARY KEY AUTO_INCREMENT,
          attribute_id SMALLINT UNSIGNED NOT NULL, store_id SMALLINT UNSIGNED NOT NULL, entity_id INT UNSIGNED NOT NULL,
          value {kind})"""
    yield """CREATE TABLE catalog_category_product (entity_id INT PRIMARY KEY AUTO_INCREMENT,
      category_id INT UNSIGNED NOT NULL, product_id INT UNSIGNED NOT NULL, position INT NOT NULL DEFAULT 0)"""
    yield """CREATE TABLE cataloginventory_stock_item (item_id INT UNSIGNED PRIMARY KEY,
      product_id INT UNSIGNED NOT NULL, stock_id SMALLINT UNSIGNED NOT NULL DEFAULT 1, qty DECIMAL(12,4),
      is_in_stock SMALLINT UNSIGNED NOT NULL DEFAULT 0, manage_stock SMALLINT UNSIGNED NOT NULL DEFAULT 0,
      use_config_manage_stock SMALLINT UNSIGNED NOT NULL DEFAULT 1)"""
    yield """CREATE TABLE sales_order (entity_id INT UNSIGNED PRIMARY KEY, state VARCHAR(32), status VARCHAR(32),
      customer_id INT UNSIGNED, customer_is_guest SMALLINT UNSIGNED,
      created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)"""
    yield """CREATE TABLE sales_order_item (item_id INT UNSIGNED PRIMARY KEY, order_id INT UNSIGNED NOT NULL,
      parent_item_id INT UNSIGNED, product_id INT UNSIGNED, sku VARCHAR(255), qty_ordered DECIMAL(12,4),
      qty_refunded DECIMAL(12,4) DEFAULT 0, qty_canceled DECIMAL(12,4) DEFAULT 0)"""
    yield """CREATE TABLE review (review_id BIGINT UNSIGNED PRIMARY KEY,
      created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, entity_id SMALLINT UNSIGNED NOT NULL,
      entity_pk_value INT UNSIGNED NOT NULL, status_id SMALLINT UNSIGNED NOT NULL)"""
    yield """CREATE TABLE rating_option_vote (vote_id BIGINT UNSIGNED PRIMARY KEY, customer_id INT UNSIGNED,
      entity_pk_value BIGINT UNSIGNED NOT NULL, rating_id SMALLINT UNSIGNED NOT NULL, review_id BIGINT UNSIGNED,
      percent SMALLINT NOT NULL DEFAULT 0, value SMALLINT NOT NULL DEFAULT 0)"""
    users = range(1, N_USERS + 1)
    yield insert("customer_entity", ((n, f"u{n}@example.org", 1, "2023-05-06", 1, n, n % 3) for n in users))
    yield insert("customer_address_entity", ((n, n, CITIES[n % 4], "PL", "1", None) for n in users))
    yield insert("catalog_product_entity", ((i.number, 4, "simple", f"S-{i.number}", "2022-01-01") for i in items()))
    yield insert("eav_entity_type", [(3, "catalog_category"), (4, "catalog_product")])
    yield insert("eav_attribute", [(41, 3, "name"), (73, 4, "name"), (77, 4, "price")])
    yield insert("catalog_product_entity_varchar", ((i.number, 73, 0, i.number, i.name) for i in items()))
    yield insert("catalog_product_entity_decimal", ((i.number, 77, 0, i.number, i.price) for i in items()))
    yield insert("catalog_category_product", ((i.number, i.group, i.number, 0) for i in items()))
    yield insert(
        "cataloginventory_stock_item",
        ((i.number, i.number, 1, i.stock, i.stock != 0, i.stock is not None, 0) for i in items()),
    )
    yield insert(
        "sales_order",
        (
            (v.number, "canceled" if v.number % 25 == 0 else "complete", "x", None if v.by_guest else v.user, 0, v.when)
            for v in visits()
        ),
    )
    yield insert("sales_order_item", ((v.number, v.number, None, v.item, f"S-{v.item}", 1, 0, 0) for v in visits()))
    yield insert("review", ((v.number, v.when, 1, v.item, 1) for v in visits()))
    yield insert(
        "rating_option_vote",
        ((v.number, None if v.by_guest else v.user, v.item, 1, v.number, 20 * v.stars, v.stars) for v in visits()),
    )
