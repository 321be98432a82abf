<?php
// A second factor of a plugin that nobody here knows: its field says nothing of codes.
add_action('wp_login', function () {
    wp_clear_auth_cookie();
    login_header();
    echo '<form method="post"><p><label for="otp">Token</label> <input type="text" name="otp" id="otp"></p><p><input type="submit" value="Go"></p></form>';
    login_footer();
    exit;
});
