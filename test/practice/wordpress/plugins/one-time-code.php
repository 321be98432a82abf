<?php
// A second factor as the plugin "Two Factor" shows it: after the password, a form with the field `authcode`.
add_action('wp_login', function ($login, $user) {
    if (isset($_POST['authcode'])) return;
    wp_clear_auth_cookie();
    code_form($user->ID, '');
}, 10, 2);
add_action('login_form_code', function () {
    $user = get_user_by('id', (int) ($_POST['account'] ?? 0));
    if (!$user || !wp_verify_nonce($_POST['nonce'] ?? '', 'code-' . $user->ID)) wp_die('No.');
    if (($_POST['authcode'] ?? '') !== '314159') code_form($user->ID, 'ERROR: Invalid verification code.');
    wp_set_auth_cookie($user->ID);
    wp_safe_redirect($_POST['redirect_to']);
    exit;
});
function code_form($id, $error)
{
    login_header();
    if ($error !== '') echo '<div id="login_error">' . esc_html($error) . '</div>';
    echo '<form method="post" action="' . esc_url(site_url('wp-login.php?action=code', 'login_post')) . '">'
        . '<input type="hidden" name="account" value="' . (int) $id . '">'
        . '<input type="hidden" name="nonce" value="' . wp_create_nonce('code-' . $id) . '">'
        . '<input type="hidden" name="redirect_to" value="' . esc_attr($_REQUEST['redirect_to'] ?? admin_url()) . '">'
        . '<p><label for="authcode">Verification Code:</label>'
        . '<input type="text" name="authcode" id="authcode" class="input" autocomplete="one-time-code"></p>';
    echo '<p class="submit"><input type="submit" class="button button-primary" value="Verify"></p></form>';
    login_footer();
    exit;
}
