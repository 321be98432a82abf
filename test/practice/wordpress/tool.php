<?php
// `php tool.php COMMAND ARGUMENT…`: what a test asks of the site, answered in JSON by WordPress's own functions.
$url = parse_url(getenv('WORDPRESS_URL'));
$_SERVER['HTTP_HOST'] = $url['host'] . ':' . $url['port'];
$_SERVER['REQUEST_URI'] = '/';
$_SERVER['REQUEST_METHOD'] = 'GET';

[, $command] = $argv;
$arguments = array_slice($argv, 2);
if ($command === 'install') {
    define('WP_INSTALLING', true);
    // WordPress would write the new administrator an e-mail.
    function wp_new_blog_notification() {}
}
require getenv('WORDPRESS_CODE') . '/wp-load.php';

function install($name, $password, $editor, $editorPassword)
{
    require_once ABSPATH . 'wp-admin/includes/upgrade.php';
    wp_install('Practice blog', $name, "$name@example.com", true, '', $password);
    update_option('permalink_structure', '/%postname%/');
    wp_insert_user([
        'user_login' => $editor,
        'user_pass' => $editorPassword,
        'user_email' => "$editor@example.com",
        'role' => 'editor',
    ]);
    return get_bloginfo('version');
}

/** The application passwords that live, oldest first. */
function passwords($name)
{
    $all = WP_Application_Passwords::get_user_application_passwords(get_user_by('login', $name)->ID);
    return array_map(fn($one) => ['name' => $one['name'], 'uuid' => $one['uuid'], 'lastUsed' => $one['last_used']], array_values($all));
}

/** Makes one without any page. */
function create($name, $label)
{
    $user = get_user_by('login', $name);
    [$password] = WP_Application_Passwords::create_new_application_password($user->ID, ['name' => $label]);
    return WP_Application_Passwords::chunk_password($password);
}

/** As its account does on the profile page. */
function end_password($name, $label)
{
    $id = get_user_by('login', $name)->ID;
    foreach (WP_Application_Passwords::get_user_application_passwords($id) as $one)
        if ($one['name'] === $label) return WP_Application_Passwords::delete_application_password($id, $one['uuid']) === true;
    return false;
}

function option($name, $value)
{
    // As its own settings page does it; else the addresses of before would go on answering.
    if ($name === 'permalink_structure') delete_option('rewrite_rules');
    return update_option($name, $value);
}

function locale($name, $locale)
{
    return update_user_meta(get_user_by('login', $name)->ID, 'locale', $locale);
}

if (!in_array($command, ['install', 'passwords', 'create', 'end_password', 'option', 'locale'], true)) exit(2);
echo json_encode($command(...$arguments));
