<?php
// The configuration of one site of the tests: everything that differs comes from the environment of the process.
define('DB_NAME', getenv('WORDPRESS_DATABASE'));
define('DB_USER', 'root');
define('DB_PASSWORD', '');
define('DB_HOST', 'localhost:' . getenv('WORDPRESS_SOCKET'));
define('DB_CHARSET', 'utf8mb4');
define('DB_COLLATE', '');
$table_prefix = 'wp_';

define('WP_HOME', getenv('WORDPRESS_URL'));
define('WP_SITEURL', getenv('WORDPRESS_URL'));
define('WP_CONTENT_DIR', getenv('WORDPRESS_CONTENT'));
define('WP_CONTENT_URL', WP_HOME . '/wp-content');
define('WP_LANG_DIR', getenv('WORDPRESS_LANGUAGES'));
// Without https, WordPress makes application passwords where a site says that it is a local one.
$is_public = file_exists(WP_CONTENT_DIR . '/mu-plugins/no-local-site.php');
define('WP_ENVIRONMENT_TYPE', $is_public ? 'production' : 'local');

// Nothing leaves this computer, and nothing happens that no test asked for.
define('WP_HTTP_BLOCK_EXTERNAL', true);
define('DISABLE_WP_CRON', true);
define('AUTOMATIC_UPDATER_DISABLED', true);
define('DISALLOW_FILE_MODS', true);

foreach (['AUTH', 'SECURE_AUTH', 'LOGGED_IN', 'NONCE'] as $name) {
    define($name . '_KEY', hash('sha256', $name . 'key' . getenv('WORDPRESS_URL')));
    define($name . '_SALT', hash('sha256', $name . 'salt' . getenv('WORDPRESS_URL')));
}

require_once ABSPATH . 'wp-settings.php';
